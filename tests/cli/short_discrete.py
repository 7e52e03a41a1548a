"""A Gymnasium environment with discrete actions and short episodes: `--world short_discrete:Short`."""

from telos.types import Reading
from telos.worlds import GymAdapter


class Short(GymAdapter):
    """The dot of TwoRooms as Gymnasium has it; episodes of 12 steps."""

    env = "telos/TwoRoomsDiscrete-v0"
    readings = {"agent_xy": Reading(2, "px")}  # noqa: RUF012
    tolerance = {"agent_xy": 4.0}  # noqa: RUF012
    episode_steps = 12

    def read(self, env):
        return {"agent_xy": env.unwrapped.rooms.read()["agent_xy"][0]}
