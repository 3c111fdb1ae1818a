"""Every message between actors, as frozen dataclasses without logic.

`reports`        what agents said, as host actors pass it on
`requests`       what the rules actor is asked
`reasons`        why the rules decided what they did
`answers`        what the store actor and the rules actor answer
`writes`         `Write`, the union of all that the store may be asked to write, and `Commit`, which carries them
`notifications`  what people are notified of, and how an attempt to notify them ended
`connections`    between the gateway and a host actor

The writes stand in one file for each subject, under the name of the module of `store` that applies them: `accounts`,
`alerts`, `audit`, `channels`, `facts`, `hosts`, `jobs`, `made_tokens`, `outbox`, `passkeys`, `policies`,
`provided_users`, `retention`, `schedules`, `second_factors`, `silences`, `status_pages`. What a write has to say once
it is on disk is a dataclass beside it; `answers.Result` is their union.

Times are integer microseconds (`rmactors.common.clock`), ids are ULIDs made by the sender.
"""
