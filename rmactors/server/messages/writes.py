"""Every write that the store actor may be asked for, and the commit that carries them.

A `Commit` carries whole decisions, never SQL. Its writes are taken together: all or none. Each may be
repeated with the same ids. What a decision expects of the database is checked inside the transaction.
"""

from msgspec import Struct

from rmactors.server.messages.accounts import (
    CloseSession,
    CreateFirstUser,
    CreateSetupToken,
    CreateUser,
    DeleteUser,
    OpenSession,
    RehashPassword,
    RenewSession,
    ResetUser,
    SetTheme,
    SetTimezone,
    SweepSessions,
    TouchSession,
    UpdateUser,
)
from rmactors.server.messages.alerts import (
    AcknowledgeAlert,
    ExpectAlertState,
    ExpectOpen,
    ForgetAlertState,
    RaiseAlert,
    ResolveAlert,
    SaveAlertState,
    TouchAlert,
    TouchConditions,
    WorsenAlert,
)
from rmactors.server.messages.answers import Reply
from rmactors.server.messages.audit import AppendAudit
from rmactors.server.messages.channel_trouble import ExpectChannel
from rmactors.server.messages.channels import (
    DeleteChannel,
    DismissAll,
    DismissDelivery,
    LogTest,
    RetryDelivery,
    SaveChannel,
    SettleAttempt,
)
from rmactors.server.messages.digests import QueueDigest
from rmactors.server.messages.enrollment import EnrollHost
from rmactors.server.messages.facts import Pulse
from rmactors.server.messages.hosts import (
    DeleteHost,
    NoteOnHost,
    PauseHost,
    RecordHello,
    RecordSigns,
    RotateHostToken,
    TagHost,
    UpdateHost,
)
from rmactors.server.messages.jobs import CancelJob, QueueJob, SaveEnd, SaveLogLines, SaveLoss, SaveStart
from rmactors.server.messages.made_tokens import (
    CreateApiToken,
    CreateEnrollmentToken,
    DeleteApiToken,
    DeleteEnrollmentToken,
    TouchApiToken,
)
from rmactors.server.messages.outbox import QueueReminders, ReleaseHeld
from rmactors.server.messages.passkeys import AddPasskey, RemovePasskey, SpendOnce, UsePasskey
from rmactors.server.messages.policies import DeletePolicy, SavePolicy
from rmactors.server.messages.provided_users import DismissProvidedUser, WelcomeProvidedUser
from rmactors.server.messages.repositories import PostponeLook, RefreshRepository, SaveRepositories, SettleLook
from rmactors.server.messages.retention import Prune
from rmactors.server.messages.schedules import DeleteSchedule, MarkGood, MarkRun, SaveSchedule
from rmactors.server.messages.second_factors import CodeWasWrong, SetSecondFactor, SpendCode, SpendRecoveryCode, TryCode
from rmactors.server.messages.silences import CreateSilence, DeleteSilence
from rmactors.server.messages.status_pages import CreateStatusPage, DeleteStatusPage

Write = (
    CreateEnrollmentToken
    | DeleteEnrollmentToken
    | EnrollHost
    | RecordHello
    | RecordSigns
    | NoteOnHost
    | UpdateHost
    | TagHost
    | PauseHost
    | RotateHostToken
    | DeleteHost
    | SaveStart
    | SaveEnd
    | SaveLoss
    | SaveLogLines
    | QueueJob
    | CancelJob
    | SaveSchedule
    | DeleteSchedule
    | SavePolicy
    | DeletePolicy
    | RaiseAlert
    | WorsenAlert
    | TouchAlert
    | AcknowledgeAlert
    | ResolveAlert
    | TouchConditions
    | SaveAlertState
    | ExpectAlertState
    | ExpectOpen
    | ForgetAlertState
    | MarkRun
    | MarkGood
    | Pulse
    | CreateSilence
    | DeleteSilence
    | CreateStatusPage
    | DeleteStatusPage
    | ReleaseHeld
    | QueueReminders
    | QueueDigest
    | SaveRepositories
    | SettleLook
    | PostponeLook
    | RefreshRepository
    | SaveChannel
    | DeleteChannel
    | SettleAttempt
    | LogTest
    | RetryDelivery
    | DismissDelivery
    | DismissAll
    | ExpectChannel
    | Prune
    | AppendAudit
    | CreateSetupToken
    | CreateFirstUser
    | CreateUser
    | UpdateUser
    | DeleteUser
    | RehashPassword
    | SetTimezone
    | SetTheme
    | SetSecondFactor
    | TryCode
    | CodeWasWrong
    | SpendCode
    | SpendRecoveryCode
    | AddPasskey
    | UsePasskey
    | RemovePasskey
    | SpendOnce
    | WelcomeProvidedUser
    | DismissProvidedUser
    | OpenSession
    | TouchSession
    | RenewSession
    | ResetUser
    | CloseSession
    | SweepSessions
    | CreateApiToken
    | TouchApiToken
    | DeleteApiToken
)


class Commit(Struct, frozen=True):
    """Writes that stand or fall together. `reply` gets exactly one answer."""

    writes: tuple[Write, ...]
    reply: Reply
