"""Where the venue is and what proves who we are, read from `HEADRACE_VENUE_*` variables."""

from typing import Self

from pydantic import SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from headrace.errors import UsageError

ENV_PREFIX = "HEADRACE_VENUE_"
SECRET_CHARACTERS_MIN = 16


class VenueSettings(BaseSettings):
    """The venue of this process. Key and secret are never shown, logged or written."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, frozen=True, hide_input_in_errors=True, extra="forbid"
    )

    url: str = "http://127.0.0.1:8750"
    """Where its order API is; the default is the paper exchange's."""
    key: SecretStr
    """Who we are there."""
    secret: SecretStr
    """What signs our requests."""

    @field_validator("url")
    @classmethod
    def _scheme(cls, url: str) -> str:
        # A signature keeps orders from being forged or changed, not from being read.
        if not url.startswith(("https://", "http://127.0.0.1", "http://localhost", "http://[::1]")):
            raise ValueError("expected https://…, or http:// on this machine")
        return url.rstrip("/")

    @field_validator("secret")
    @classmethod
    def _long_enough(cls, secret: SecretStr) -> SecretStr:
        if len(secret.get_secret_value()) < SECRET_CHARACTERS_MIN:
            raise ValueError(f"expected at least {SECRET_CHARACTERS_MIN} characters")
        return secret

    @classmethod
    def load(cls) -> Self:
        """Read the environment.

        Raises:  UsageError naming each bad variable and what was expected, never what was found.
        """
        try:
            return cls()  # type: ignore[call-arg]  # read from the environment
        except ValidationError as error:
            lines = [
                f"{ENV_PREFIX}{str(each['loc'][0]).upper()}: {each['msg']}; the value is not shown"
                for each in error.errors(include_url=False, include_context=False)
            ]
            raise UsageError("\n".join(lines)) from None  # the cause would print the values
