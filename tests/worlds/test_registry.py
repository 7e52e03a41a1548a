import pytest

from telos.errors import UnknownName, WorldError
from telos.worlds import GymWorld, Rooms, make, names, register


def test_the_built_in_worlds_have_names():
    assert names() == [
        "Reacher-v5",
        "telos/FourRooms-v0",
        "telos/Orbits-v0",
        "telos/OrbitsQuiet-v0",
        "telos/TwoRooms-v0",
        "telos/TwoRoomsBackground-v0",
        "telos/TwoRoomsDiscrete-v0",
        "telos/TwoRoomsFixed-v0",
        "telos/TwoRoomsTelevision-v0",
    ]
    assert isinstance(make("telos/FourRooms-v0", 2), Rooms)


def test_a_class_of_environments_or_an_adapter_is_a_name():
    world = make("odd_worlds:SliderAdapter", 2)
    assert isinstance(world, GymWorld)
    assert (world.id, world.num, set(world.readings)) == ("odd_worlds:SliderAdapter", 2, {"place"})


def test_unknown_names_list_near_ones():
    with pytest.raises(UnknownName, match="Did you mean telos/TwoRooms-v0"):
        make("telos/TwoRoom-v0")
    with pytest.raises(UnknownName, match=r"Did you mean .*Pusher-v5"):
        make("Pushr-v5")
    with pytest.raises(UnknownName, match="Did you mean Slider"):
        make("odd_worlds:Slidr")


def test_a_module_that_is_not_there_is_named():
    with pytest.raises(WorldError, match="no module nowhere_at_all"):
        make("nowhere_at_all:World")


def test_a_name_is_registered_once():
    with pytest.raises(ValueError, match="registered already"):
        register("telos/TwoRooms-v0", lambda num: Rooms("telos/TwoRooms-v0", num))
