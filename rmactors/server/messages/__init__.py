"""Every message between actors, as frozen dataclasses without logic.

`reports`     what agents said, as host actors pass it on
`requests`    what the rules actor is asked
`writes`      what the store actor is asked to commit, and what it answers
`accounts`    writes about users, sessions and tokens
`notices`     what is told to people, and how an attempt to tell them ended
`links`       between the gateway and a host actor

Times are integer microseconds (`rmactors.common.clock`), ids are ULIDs made by the sender.
"""
