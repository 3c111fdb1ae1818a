"""What pages and API both do, one function each: check, ask the store or the rules, audit.

Functions act for the user or token of the request at hand and raise `Problem` (404, 409, 422); they know no form and
no JSON body of a request. Nothing in here imports a page or an API module.
"""
