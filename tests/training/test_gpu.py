"""On a GPU, where there is one: it trains to the CPU's losses, goes on with its runs, plans and evaluates."""

from dataclasses import replace

import numpy as np
import pytest
import together
import torch
from torch import distributed

import telos
from telos.actor import CEM, PLANNERS, planners
from telos.configurator import Configurator
from telos.data import EpisodeStore
from telos.evaluation import evaluate
from telos.model import Model
from telos.training import Compute, Distillation, Optimisation, train
from telos.training.compute import Replicated, sharded, unworried, whole
from telos.training.distributed import Processes
from telos.training.stages import representation_step
from telos.types import Budget, Configuration

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")]
GPU = torch.device("cuda")


@pytest.fixture(autouse=True)
def exact(monkeypatch):
    """Convolutions in fp32, not TF32."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


@pytest.fixture(scope="module")
def trained(store, tmp_path_factory):
    """Runs of a GPU and of a CPU, by recipe and device."""
    folder = tmp_path_factory.mktemp("trained")

    def run(name, device):
        if not (folder / device / name).exists():
            together.fit(store.path, name, folder / device / name, compute=Compute(device))
        return folder / device / name

    return run


def assert_same_losses(one, two, rel):
    one, two = together.curves(one), together.curves(two)
    assert len(one) == len(two) >= 8
    for first, second in zip(one, two, strict=True):
        assert (first.pop("stage"), first.pop("step")) == (second.pop("stage"), second.pop("step"))
        for unlike in ("rank", "lidar"):  # of four windows, they follow the smallest eigenvalues
            first.pop(unlike, None), second.pop(unlike, None)
        assert second == pytest.approx(first, rel=rel, abs=1e-4)


def plan_with(planner):
    return Configurator(*[Configuration(planner, horizon=3, budget=Budget(2), replan_every=4)] * 3)


@pytest.mark.parametrize("name", ["rooms", "masked", "taught", "joining", "sketched"])
def test_it_trains_to_the_losses_of_the_cpu(name, trained):
    assert_same_losses(trained(name, "cpu"), trained(name, "cuda"), rel=2e-2)


@pytest.mark.parametrize(("first", "second"), [("cuda", "cpu"), ("cpu", "cuda")])
def test_a_run_goes_on_on_another_device(first, second, trained, store, tmp_path):
    stop = together.stop_at("prediction", 2, lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        together.fit(store.path, "rooms", tmp_path, save_seconds=0, progress=stop, compute=Compute(first))
    model = together.fit(store.path, "rooms", tmp_path, compute=Compute(second))
    assert_same_losses(trained("rooms", "cpu"), tmp_path, rel=2e-2)
    assert {value.device.type for value in model.parameters()} == {"cpu"}


def test_it_imagines_what_the_cpu_imagines(trained, store, single_precision):
    model, there = (Model.load(trained("rooms", "cpu") / "model") for _ in range(2))
    there.to(GPU)
    frames = torch.from_numpy(np.array(store[0].frames[:4])).permute(0, 3, 1, 2)
    blocks = torch.rand(4, 6, 3, model.config.action_space.size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        states = model.encode(telos.Observation(frames[:, None]))
        elsewhere = there.encode(telos.Observation(frames[:, None].to(GPU)))
        torch.testing.assert_close(elsewhere.cpu(), states, rtol=1e-3, atol=1e-4)
        found = there.rollout(elsewhere, blocks.to(GPU)).states.cpu()
        torch.testing.assert_close(found, model.rollout(states, blocks).states, rtol=1e-3, atol=1e-4)
        pictures = there.decode(elsewhere[0], perceived=elsewhere[0])
    assert pictures.device.type == "cuda"


@pytest.mark.parametrize("name", sorted(PLANNERS))
def test_every_planner_plans_there(name, trained, store, tmp_path):
    model = Model.load(trained("rooms", "cuda") / "model")
    discrete = name not in planners(model.config.action_space)
    if discrete:
        world = telos.make("telos/TwoRoomsDiscrete-v0", 4)
        own = telos.collect(world, tmp_path / "data", episodes=8, length=20, seed=0)
        model = train(own, telos.recipes.get("smoke"), tmp_path / "run", compute=Compute("cuda"))
    planner = planners(model.config.action_space)[name]()
    result = evaluate(
        model.to(GPU),
        "telos/TwoRoomsDiscrete-v0" if discrete else "telos/TwoRooms-v0",
        tasks=2,
        configurator=plan_with(planner),
        floors=False,
    )
    assert result.n == 2
    assert result.evaluations_per_plan > 1


def test_guardrails_are_judged_there(trained):
    model = Model.load(trained("rooms", "cuda") / "model").to(GPU)
    result = evaluate(model, "telos/TwoRooms-v0", tasks=2, guardrail="across", configurator=plan_with(CEM()))
    assert result.n == len(result.rows_without) == 2


def test_frames_go_in_and_actions_come_out(trained):
    model = Model.load(trained("rooms", "cuda") / "model").to(GPU)
    world = telos.make("telos/TwoRooms-v0", 2)
    agent = telos.Agent(
        model,
        guardrails=[telos.keep_out(model.readouts["agent_xy"], telos.Disc((32, 32), 6))],
        configurator=plan_with(CEM()),
        safe_action=[0.0, 0.0],
    )
    frames = world.reset(seeds=[0, 1], split="heldout", task=True)
    agent.reach(world.goal_frames(), effort=0.01)
    for step in range(6):
        if step == 4:
            agent.reach_reading("agent_xy", [[10.0, 50.0], [50.0, 10.0]], scale=4.0)
        action = agent.act(frames)
        frames = world.step(action)
    assert isinstance(action, np.ndarray)
    world.close()


def test_a_reflex_is_distilled_there(store, recipe, tmp_path, monkeypatch):
    few = Optimisation(steps=3, batch=8, clip=1.0)
    monkeypatch.setattr(
        "telos.training.distillation.Distillation",
        lambda: Distillation(plans=16, together=8, optimisation=few),
    )
    taught = replace(recipe, configurator=plan_with(CEM()))
    model = train(store, taught, tmp_path, reflex=True, compute=Compute("cuda"))
    assert model.reflex is not None
    assert {value.device.type for value in model.state_dict().values()} == {"cpu"}


def test_a_pretrained_network_is_planned_with_there(store, tmp_path):
    pytest.importorskip("transformers")
    from telos.perception import from_pretrained
    from tests.perception import networks
    from tests.training.test_on_pretrained import HISTORY, new_recipe

    folder = networks.save("dinov2", tmp_path / "dinov2")
    predictor = replace(HISTORY, tokens=16)
    recipe = new_recipe(from_pretrained(folder, pooled="patches"), predictor, steps=3)
    model = train(store, recipe, tmp_path / "run", compute=Compute("cuda"))
    result = evaluate(
        model.to(GPU), "telos/TwoRooms-v0", tasks=1, configurator=plan_with(CEM()), floors=False
    )
    assert result.n == 1


@pytest.fixture
def group(tmp_path):
    """A group of one process, as `torchrun` makes it of GPUs."""
    torch.cuda.set_device(0)
    distributed.init_process_group(
        "cpu:gloo,cuda:nccl", init_method=f"file://{tmp_path}/rendezvous", rank=0, world_size=1
    )
    yield
    distributed.destroy_process_group()


@pytest.mark.parametrize("way", ["replicated", "sharded"])
def test_processes_share_a_step_by_nccl(way, group, store, single_precision):
    from telos.training.train import _learned, _learner, _new_model, model_config

    name = "rooms" if way == "replicated" else "sketched"
    recipe = together.small(name)

    def gradients(wrap):
        model = _new_model(model_config(store, recipe), store, recipe, 0)
        learner = _learner(model, recipe.representation, 0).to(GPU)
        step = representation_step(
            learner,
            model,
            EpisodeStore.open(store.path),
            recipe.representation,
            Processes(),
            allow_collapse=True,
        )
        trained = list(_learned(model, learner))
        taken, trained = wrap(step, trained, learner)
        with unworried():
            loss, _ = taken(torch.Generator().manual_seed(0), 0)
            loss.backward()
        return loss.item(), [whole(value.grad) for value in trained if value.grad is not None]

    def wrapped(step, trained, learner):
        if way == "replicated":
            return Replicated(step, trained), trained
        names = {value: key for key, value in learner.named_parameters()}
        taken = sharded(step, learner, trained, GPU, 1)
        now = dict(learner.named_parameters())
        return taken, [now[names[value]] for value in trained]

    torch.manual_seed(0)
    loss, expected = gradients(lambda step, trained, _: (step, trained))
    torch.manual_seed(0)
    found_loss, found = gradients(wrapped)
    assert found_loss == pytest.approx(loss, rel=1e-4)
    assert len(found) == len(expected)
    for one, two in zip(found, expected, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-3, atol=1e-5)
