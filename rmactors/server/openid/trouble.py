"""What goes wrong with a provider, in words for the person who wanted to sign in."""


class ProviderTrouble(Exception):
    """This sign-in ends here. The message is a sentence for the user, `why` a few words for the audit trail; neither
    holds a token. `status` is that of the page: 403 the user may not come in, 422 the answer is not good, 502 the
    provider or the settings are at fault."""

    def __init__(self, sentence: str, why: str, status: int = 422) -> None:
        super().__init__(sentence)
        self.why, self.status = why, status


def misconfigured(why: str) -> ProviderTrouble:
    """Somebody must look at the settings, here or there."""
    return ProviderTrouble(
        f"Signing in through the identity provider does not work: {why}. Tell an administrator.", why, 502
    )
