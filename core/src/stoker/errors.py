"""The error tree: every error that stoker raises on purpose.

The branches say who must act::

    StokerError
    ├── InvalidInputError              the caller changes what they sent
    │   ├── InvalidReferenceError
    │   ├── InvalidDigestError
    │   ├── ConfigError
    │   ├── InvalidArtifactError       the publisher of the artifact, in truth
    │   │   ├── IntegrityError
    │   │   └── UnknownFormatError
    │   └── InvalidRequestError
    │       ├── ContextLengthExceededError
    │       └── UnsupportedFeatureError
    ├── NotFoundError
    │   └── ModelNotFoundError
    ├── AccessDeniedError
    │   └── UnauthenticatedError
    ├── ConflictError
    │   ├── AmbiguousBackendError
    │   └── InUseError
    ├── UnavailableError               the operator changes what is installed, free or reachable
    │   ├── BackendUnavailableError
    │   ├── AddressInUseError
    │   ├── TransferError
    │   ├── InsufficientMemoryError
    │   ├── LoadError
    │   │   └── OutOfMemoryError
    │   ├── RunnerCrashedError
    │   ├── BrokenFrameError
    │   ├── DeadlineExceededError
    │   └── OverloadedError
    │       └── TooManyRequestsError
    ├── OperationCancelledError
    └── PluginError                    the plugin's author

A message is one sentence (or two: what is wrong, what to do), ready to be shown. Data that a
program may want stands in attributes of simple types, so that an error can cross a process border.
No class here knows HTTP or exit codes: transports and the CLI each have one table for that.
"""

from __future__ import annotations

import re


class StokerError(Exception):
    """Root of everything that stoker raises on purpose."""

    @property
    def message(self) -> str:
        """The sentence to show."""
        return str(self)

    @property
    def help_page(self) -> str:
        """Where the documentation says what to do; the address never changes."""
        return f"reference/errors.html#{anchor_of(type(self))}"


def anchor_of(kind: type[StokerError]) -> str:
    """The name of an error's section in the documentation: `error-config-error`.

    An error of a plugin has that of the core's error that it derives from.
    """
    own = next(base for base in kind.__mro__ if base.__module__ == __name__)
    return "error-" + re.sub(r"(?<=[a-z])(?=[A-Z])", "-", own.__name__).lower()


class InvalidInputError(StokerError):
    """What the caller sent cannot be used as it is."""


class InvalidReferenceError(InvalidInputError):
    """A model's name does not follow the grammar of references."""


class InvalidDigestError(InvalidInputError):
    """A digest does not follow the grammar `algorithm:hex`."""


class ConfigError(InvalidInputError):
    """A setting is unknown or has a wrong value.

    Attributes:
        source: Where the setting came from: a file, an environment variable or a flag.
        key: The dotted key.
    """

    def __init__(self, *, source: str, key: str, problem: str) -> None:
        self.source = source
        self.key = key
        super().__init__(f"{source}: {key}: {problem}" if key else f"{source}: {problem}")


class InvalidArtifactError(InvalidInputError):
    """An artifact's manifest, config or files are malformed."""


class IntegrityError(InvalidArtifactError):
    """Bytes do not match the digest or size under which they were asked for."""


class UnknownFormatError(InvalidArtifactError):
    """No format rule or no installed backend knows the artifact's weights."""


class InvalidRequestError(InvalidInputError):
    """A generation request has a field with a wrong or unsupported value.

    Attributes:
        param: The field's name in the words of the dialect, or None when it is no single field.
    """

    def __init__(self, message: str, *, param: str | None = None) -> None:
        self.param = param
        super().__init__(message)


class ContextLengthExceededError(InvalidRequestError):
    """The prompt does not fit into the model's context; nothing was cut off.

    Attributes:
        prompt_tokens: Length of the prompt.
        context_length: What one sequence may hold, prompt and answer together.
    """

    def __init__(
        self, *, prompt_tokens: int, context_length: int, param: str | None = None
    ) -> None:
        self.prompt_tokens = prompt_tokens
        self.context_length = context_length
        what = "This prompt" if param is None else param
        super().__init__(
            f"{what} has {prompt_tokens} tokens, but the model's context holds {context_length}:"
            f" shorten {'the prompt' if param is None else 'it'} or load the model with a longer"
            " context.",
            param=param,
        )


class UnsupportedFeatureError(InvalidRequestError):
    """The request asks for something that this engine or this version cannot do."""


class NotFoundError(StokerError):
    """Something that was asked for by name does not exist."""


class ModelNotFoundError(NotFoundError):
    """No store holds the model.

    Attributes:
        model: The name that was asked for.
    """

    def __init__(self, message: str, *, model: str) -> None:
        self.model = model
        super().__init__(message)


class AccessDeniedError(StokerError):
    """A registry or server refused the credentials, or wants some."""


class UnauthenticatedError(AccessDeniedError):
    """A request carries no API key, or one that nobody knows."""


class ConflictError(StokerError):
    """The request is fine, but clashes with the present state."""


class AmbiguousBackendError(ConflictError):
    """Several backends bid equally for a model; the message names the setting that decides."""


class InUseError(ConflictError):
    """Something that is in use cannot be changed or deleted now."""


class UnavailableError(StokerError):
    """Something that is needed is not installed, not free or not reachable."""


class BackendUnavailableError(UnavailableError):
    """No backend for the model can run here; the message says what to install."""


class AddressInUseError(UnavailableError):
    """A transport cannot listen because another process holds the address."""


class TransferError(UnavailableError):
    """A registry or server could not be reached, or broke off and stayed away."""


class LoadError(UnavailableError):
    """An engine could not load a model; the message carries the engine's own last words."""


class OutOfMemoryError(LoadError):
    """A load failed because a device had no memory left; it may work when other models leave."""


class InsufficientMemoryError(UnavailableError):
    """A model needs more memory than there is for all models together: it can never be loaded.

    Attributes:
        device: Whose memory it is.
        needed_bytes: What the model takes.
        budget_bytes: What there is.
    """

    def __init__(self, message: str, *, device: str, needed_bytes: int, budget_bytes: int) -> None:
        self.device = device
        self.needed_bytes = needed_bytes
        self.budget_bytes = budget_bytes
        super().__init__(message)


class RunnerCrashedError(UnavailableError):
    """The process that ran the model died; a new request starts a new one."""


class BrokenFrameError(UnavailableError):
    """Another process of stoker sent bytes that are no frame: it is broken or no stoker."""


class DeadlineExceededError(UnavailableError):
    """A request took longer than its own deadline allows."""


class OverloadedError(UnavailableError):
    """A bounded queue is full.

    Attributes:
        retry_after_s: When to try again, in seconds.
    """

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(message)


class TooManyRequestsError(OverloadedError):
    """One caller asks for more at once than it may; others are served."""


class OperationCancelledError(StokerError):
    """The caller asked for the operation to be given up."""


class PluginError(StokerError):
    """A plugin broke its contract.

    Attributes:
        plugin: The plugin's entry-point name.
        distribution: The distribution that ships it, with its version where known.
    """

    def __init__(self, message: str, *, plugin: str, distribution: str = "") -> None:
        self.plugin = plugin
        self.distribution = distribution
        super().__init__(message)
