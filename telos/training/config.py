"""The typed configuration of a training run: what a recipe is made of."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from telos.configurator import Configurator
from telos.data import Persistent
from telos.model import Recovered
from telos.perception import Keypoints, PerceptionSettings
from telos.training.methods import Method, VarianceCovariance
from telos.world_model import Glimpse, PredictorSettings


@dataclass(frozen=True)
class Collection:
    """How much experience to collect, and how to explore."""

    episodes: int = 3072
    length: int = 48  # environment steps per episode
    hold: tuple[int, int] = (3, 32)  # shortest and longest time that an exploring action is held
    pause: float = 0.05  # part of holds that hardly move
    full: float = 0.5  # part of holds at the bound
    drift: float = 0.05  # radians per step that a held direction drifts
    share: float = 1.0  # of the action bounds that is explored, and later planned within

    @property
    def policy(self) -> Persistent:
        """The exploring policy, for `telos.collect`."""
        return Persistent(
            hold=self.hold, pause=self.pause, full=self.full, drift=self.drift, share=self.share
        )


@dataclass(frozen=True)
class Architecture:
    """Which encoder and predictor, and their sizes; see `telos.model.ModelConfig`."""

    block: int = 4  # environment steps per predictor step
    frames: int = 1
    spacing: int = 1  # environment steps between those
    perception: PerceptionSettings = field(default_factory=Keypoints)
    predictor: PredictorSettings = field(default_factory=Glimpse)
    recovered: Recovered = "each"
    ensemble: int = 2
    held: bool = True  # plan one action per block; otherwise one per environment step


@dataclass(frozen=True)
class Optimisation:
    """AdamW with a linear warm-up and a cosine decay over the last part of the steps."""

    steps: int
    batch: int
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    warmup: int = 100
    decay_from: float = 0.5  # the part of the steps after which the learning rate falls
    clip: float = 50.0  # largest norm of the gradient

    def __post_init__(self) -> None:
        if not all(math.isfinite(value) for value in vars(self).values()):
            raise ValueError(f"every number must be finite; got {self}. To clip nothing, give clip=1e9.")
        if self.steps < 0 or self.batch < 1 or self.warmup < 0:
            raise ValueError(f"steps and warmup must be at least 0 and batch at least 1; got {self}.")
        if not (self.learning_rate > 0 and self.clip > 0 and self.weight_decay >= 0):
            raise ValueError(
                f"learning_rate and clip must be positive and weight_decay not negative; got {self}."
            )


def _check_horizon(horizon: int) -> None:
    if horizon < 1:
        raise ValueError(f"horizon must be at least 1 predictor step; got {horizon}.")


@dataclass(frozen=True)
class Weights:
    """What is asked of states beside the method, and what it weighs; 0: it is not asked."""

    inverse: float = 5.0  # inverse dynamics: the actions between two states
    endpoint: float = 0.0  # its end-point form, EP-IDM: the actions of a window, of its two ends
    temporal: float = 0.05  # temporal similarity
    curvature: float = 0.0  # temporal straightening


@dataclass(frozen=True)
class Representation:
    """The first stage: encoder, predictor and inverse dynamics together, by a method against collapse.

    With `ahead`, each state of a window is imagined from the one that many predictor steps before it (or
    from the window's first), and not all from the first. Several numbers are a curriculum, each for an equal
    part of the updates: (1, 8) first learns what can be predicted at all, then what has to be precise for it.
    Where actions tell little or nothing of what moves, nothing may be learned from long predictions alone.

    With `joins`, what is asked beside the method (inverse dynamics) goes first. Beside noise that can be half
    foretold, a method may otherwise settle on that before it has met what actions move. What the method alone
    trains (predictor, heads, the scene) stays as it was made until then.
    """

    optimisation: Optimisation = field(
        default_factory=lambda: Optimisation(steps=1200, batch=64, learning_rate=2e-3)
    )
    horizon: int = 5  # predictor steps per window
    ahead: tuple[int, ...] | None = None  # over how many each state is imagined; None: from the first on
    method: Method = field(default_factory=VarianceCovariance)
    joins: float = 0.0  # the share of the updates after which the method counts; before it, the weights alone
    weights: Weights = field(default_factory=Weights)
    around_window_mean: bool = True  # what the method compares: how windows vary, not how they differ

    def __post_init__(self) -> None:
        _check_horizon(self.horizon)
        if not 0 <= self.joins < 1:
            raise ValueError(f"joins must be a share of the updates, from 0 to below 1; got {self.joins}.")
        if self.joins and not any(vars(self.weights).values()):
            raise ValueError(
                f"joins must be 0 where nothing is asked beside the method (weights); got {self.joins}."
            )
        if self.ahead is not None and (not self.ahead or min(self.ahead) < 1):
            raise ValueError(
                "ahead must be None, or one or more numbers of predictor steps, each at least 1; got "
                f"{self.ahead}."
            )


@dataclass(frozen=True)
class Sketched:
    """The only stage of LeWM (arXiv 2603.19312): predict the next embedding, and keep embeddings normal.

    Encoder and predictor together, no variance or covariance terms: SIGReg alone keeps the representation
    from collapsing. Where layouts differ between episodes it does not keep what moves from being left
    out (a slow-feature collapse). `around_window_mean` and `inverse`, which LeWM does not have, are for that.
    """

    optimisation: Optimisation = field(
        default_factory=lambda: Optimisation(
            steps=20_000, batch=128, learning_rate=5e-5, weight_decay=1e-3, decay_from=0.0, clip=1.0
        )
    )
    horizon: int = 3  # predictor steps per window, each from all embeddings before it
    sigreg: float = 0.09  # its weight
    slices: int = 1024  # random directions that SIGReg looks along
    around_window_mean: bool = False  # what SIGReg looks at: how windows vary, not how they differ
    inverse: float = 0.0  # the weight of inverse dynamics

    def __post_init__(self) -> None:
        _check_horizon(self.horizon)


@dataclass(frozen=True)
class Prediction:
    """The second stage: the predictors alone, each on its own windows, on states of the frozen encoder.

    A predictor that looks back (`History`) is told the states of its window, as DINO-WM's is (arXiv
    2411.04983); `horizon` is then at most its length. Another is trained on what it imagined itself.

    With `anew` the predictors begin anew, and nothing but the states is kept of the first stage: to tell
    apart what a method made of states and what it made of the predictor.
    """

    optimisation: Optimisation = field(
        default_factory=lambda: Optimisation(steps=4000, batch=256, learning_rate=1e-3, clip=4.0)
    )
    horizon: int = 5  # predictor steps per window
    noise: float = 0.03  # on what moves before every step, at most, in its standard deviations over all
    # training frames; a state in a wall is then led out of it
    anew: bool = False

    def __post_init__(self) -> None:
        _check_horizon(self.horizon)


@dataclass(frozen=True)
class Heads:
    """What is trained on frozen states afterwards: readouts on few labels, and the decoder."""

    labels: int = 500  # labelled frames per readout
    readout_steps: int = 1000
    decoder: Optimisation = field(
        default_factory=lambda: Optimisation(steps=300, batch=128, learning_rate=2e-3, clip=1.0)
    )

    def __post_init__(self) -> None:
        if self.labels < 2 or self.readout_steps < 1:
            raise ValueError(
                "labels must be at least 2 and readout_steps at least 1; got "
                f"{self.labels} and {self.readout_steps}."
            )


@dataclass(frozen=True)
class Distillation:
    """How plans become a reactive policy; see `telos.fit_reflex`."""

    plans: int = 768
    together: int = 64  # planned in one call
    optimisation: Optimisation = field(
        default_factory=lambda: Optimisation(steps=1600, batch=24, learning_rate=2e-3, clip=1.0)
    )  # a batch of goals
    starts: int = 16  # states per goal
    noise: float = 0.03  # on what moves, at most, so that small deviations are led back


@dataclass(frozen=True)
class Recipe:
    """Everything that makes an agent for one world: experience, model, training, planning."""

    name: str
    world: str
    collection: Collection = field(default_factory=Collection)
    architecture: Architecture = field(default_factory=Architecture)
    representation: Representation | Sketched | None = field(default_factory=Representation)  # None: given
    prediction: Prediction | None = field(default_factory=Prediction)
    heads: Heads = field(default_factory=Heads)
    configurator: Configurator = field(default_factory=Configurator)
