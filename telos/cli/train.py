"""`telos train`: a world model, its decoder and its readouts, from an episode store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from telos.cli import console
from telos.cli.progress import Bars

if TYPE_CHECKING:
    from telos.model import Model


def train(
    *,
    data: Path,
    out: Path,
    recipe: str = "rooms",
    encoder: str | None = None,
    seed: int = 0,
    reflex: bool = False,
    allow_collapse: bool = False,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    sharding: Literal["auto", "none", "full"] = "auto",
    micro_batches: int = 1,
    log: Literal["wandb", "trackio"] | None = None,
) -> None:
    """Train what a recipe says on an episode store. Run again, it continues where it last saved.

    `torchrun --nproc-per-node N -m telos train ...` trains on N processes, to the same losses.

    Args:
        data: the episode store that `telos collect` or `telos data import` wrote.
        out: the folder of the run; the checkpoint is in its folder "model".
        recipe: the architecture, losses, steps and planning settings: a name, or package.module:function.
        encoder: of a recipe on a pretrained network (dino-wm): its folder, or its name on the hub.
        seed: of the first weights and of the order of the data.
        reflex: distil the recipe's planner into a reactive policy as well; a finished run gets it afterwards.
        allow_collapse: go on where the representation has collapsed, to see what happens.
        device: where to compute; auto is a GPU where there is one, one for each process.
        sharding: of several processes, whether each holds all weights (none) or a part of them (full).
        micro_batches: encode a batch in so many parts, in less memory, to the same loss.
        log: send the curves to this service too; TensorBoard's are always in the folder.
    """
    from telos import recipes
    from telos.data import EpisodeStore
    from telos.training import Compute
    from telos.training import train as fit
    from telos.training.distributed import joined

    chosen, compute = recipes.get(recipe, encoder=encoder), Compute(device, sharding, micro_batches)
    with (
        EpisodeStore.open(data) as store,
        console.interruptible(kept(out)),
        joined(compute.place()) as processes,
        Bars() as bars,
    ):
        model = fit(
            store,
            chosen,
            out,
            seed=seed,
            reflex=reflex,
            allow_collapse=allow_collapse,
            progress=bars,
            compute=compute,
            log=log,
        )
    if processes.first:
        show(model)
        use = "evaluate" if model.config.world else "plan --start-image NOW.png --goal-image THEN.png"
        console.say(
            f"Written to {out / 'model'}. Next: telos {use} --model {out / 'model'}, or telos report {out}"
        )


def kept(out: Path) -> str:
    """What Ctrl-C leaves of a training run."""
    return f"Training is saved in {out}; the same command continues where it stopped."


def show(model: Model) -> None:
    """What was trained."""
    size = sum(weight.numel() for weight in model.parameters())
    readouts = {
        f"readout {name}": f"off by {head.error:.3g} {head.unit} on average; {head.labels} labels"
        for name, head in model.readouts.items()
    }
    console.facts(
        "Model",
        {
            "world": model.config.world or "none: recordings",
            "parameters": f"{size:,}",
            "state": f"{model.config.state_size}",
            **({"reflex": "distilled from plans"} if model.reflex is not None else {}),
            **readouts,
        },
    )
