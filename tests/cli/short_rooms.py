"""TwoRooms with short episodes, for tests: `--world short_rooms:Short`."""

from telos.worlds import Rooms


def Short(num):
    """Episodes of 24 steps."""
    rooms = Rooms("telos/TwoRooms-v0", num)
    rooms.episode_steps = 24
    return rooms
