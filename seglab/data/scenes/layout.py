"""Where things stand: plots on both sides, street furniture, traffic and people, each set on the stage by a step."""

import math

import numpy as np

from seglab.data.scenes.buildings import building, far_block, far_spire
from seglab.data.scenes.canvas import BICYCLIST, CAR, FAR_M, NEAR_M, PEDESTRIAN, SIGN, TREE
from seglab.data.scenes.furniture import bollard, fence, lamp_post, litter_bin, sign_post, traffic_light
from seglab.data.scenes.people import person
from seglab.data.scenes.street import Stage
from seglab.data.scenes.trees import bush, hedge, tree
from seglab.data.scenes.vehicles import HALF_WIDTH, OUTLINES, vehicle


def place_lots(stage: Stage) -> None:
    """Fill both sides with terraces, side streets and green plots, and close the view at the far end."""
    rng, street = stage.rng, stage.street
    town = float(rng.uniform(0.25, 0.95))  # share of built plots
    for side in (-1, 1):
        front = street.half + street.pave[(side + 1) // 2]
        z, shops = float(rng.uniform(-4, 1)), bool(rng.random() < 0.45)
        storeys, after_gap = float(rng.uniform(6, 11)), True
        while z < FAR_M:
            kind = rng.random()
            if kind < 0.1 and not after_gap and z > 9:
                width = float(rng.uniform(5, 9))
                street.side_streets.append((side, z, z + width))
                z, after_gap = z + width, True
            elif kind < 0.1 + 0.9 * town:
                for _ in range(int(rng.integers(2, 6))):
                    length = float(rng.uniform(5, 13)) * (1.0 if z < 60 else 1.8)
                    set_back = front + (0.0 if shops else float(rng.uniform(0, 0.5)))
                    tall = float(np.clip(storeys + rng.normal(0, 1.3), 5.2, 16))
                    _place_house(stage, side, side * set_back, (z, z + length), tall, shops, 34.0 if after_gap else 9.0)
                    z, after_gap = z + length, False
                shops = bool(rng.random() < 0.4)
            else:
                length = float(rng.uniform(9, 24))
                _place_green(stage, side, front, (z, z + length))
                z, after_gap = z + length, True
    _place_far_end(stage)


def _place_house(
    stage: Stage, side: int, x: float, z: tuple[float, float], height: float, shop: bool, end_m: float
) -> None:
    if z[1] < NEAR_M + 0.3:
        return
    stage.add(z[1], building, stage.child(), side, x, z, height, shop, end_m)
    stage.street.shadows.append((np.array([[x, z[0]], [x, z[1]]], np.float32), height))


def _place_green(stage: Stage, side: int, front: float, z: tuple[float, float]) -> None:
    rng, street = stage.rng, stage.street
    street.lawns.append((side, front, z[0], z[1]))
    if rng.random() < 0.6:
        _place_house(stage, side, side * (front + 12), (z[0] + 1, z[1] - 1), float(rng.uniform(5.5, 8.5)), False, 10.0)
    border = str(rng.choice(["railings", "boards", "wall", "hedge"], p=[0.38, 0.2, 0.2, 0.22]))
    _place_border(stage, side, side * (front + 0.1), z, border)
    bare = rng.random() < 0.35
    for at in np.arange(max(z[0], 2) + 1, z[1], float(rng.uniform(3, 7))):
        spot = (side * (front + float(rng.uniform(1.5, 8))), float(at))
        _place_tree(stage, spot, float(rng.uniform(5, 12)), bool(rng.random() < (0.15 if bare else 0.9)))
    for _ in range(int((z[1] - z[0]) / 5)):
        spot = (side * (front + float(rng.uniform(0.6, 6))), float(rng.uniform(*z)))
        if spot[1] > 3:
            stage.add(spot[1], bush, stage.child(), spot, float(rng.uniform(0.7, 1.8)))


def _place_border(stage: Stage, side: int, x: float, z: tuple[float, float], kind: str) -> None:
    for start in np.arange(max(z[0], NEAR_M), z[1], 4.0):
        end = min(float(start) + 4.0, z[1])
        if kind == "hedge":
            stage.add(end, hedge, stage.child(), side, x, (float(start), end))
        else:
            stage.add(end, fence, np.random.default_rng(int(abs(z[0]) * 10)), x, (float(start), end), kind, side)
    if kind != "railings":
        stage.street.shadows.append((np.array([[x, z[0]], [x, z[1]]], np.float32), 1.2))


def _place_tree(stage: Stage, spot: tuple[float, float], height: float, leafy: bool) -> None:
    stage.add_seen("tree", TREE, (spot[0], height * 0.6, spot[1]), tree, stage.child(), spot, height, leafy)
    x, z = spot
    crown = np.array(
        [[x + math.cos(a) * height * 0.3, z + math.sin(a) * height * 0.3] for a in np.linspace(0, 6.28, 12)]
    )
    if leafy:
        stage.street.shadows.append((crown.astype(np.float32), -height * 0.66))  # negative: floats at that height
    stage.street.shadows.append((np.array([[x - 0.15, z], [x + 0.15, z]], np.float32), height * 0.6))


def _place_far_end(stage: Stage) -> None:
    rng = stage.rng
    reach = 75.0
    x = -reach
    while x < reach:
        width = float(rng.uniform(7, 16))
        if rng.random() < 0.5:
            stage.add(FAR_M + 8 + rng.random(), far_block, stage.child(), x, width, float(rng.uniform(5, 12)))
        x += width * 0.8
    for _ in range(16):
        spot = (float(rng.uniform(-reach, reach)), FAR_M + 2 + 3 * rng.random())
        stage.add(spot[1], bush, stage.child(), spot, float(rng.uniform(3, 6.5)))
    if rng.random() < 0.2:
        stage.add(FAR_M + 12, far_spire, float(rng.uniform(-14, 14)), float(rng.uniform(22, 38)))


def _free(stage: Stage, side: int, z: float) -> bool:
    return not any(s == side and z0 - 1 < z < z1 + 1 for s, z0, z1 in stage.street.side_streets)


def place_furniture(stage: Stage) -> None:
    """Lamp posts, signs, traffic lights, kerbside railings, street trees."""
    rng, street = stage.rng, stage.street
    height, spacing = float(rng.uniform(5.5, 9)), float(rng.uniform(16, 30))
    for side in (-1, 1):
        kerb = side * (street.half + 0.45)
        for z in np.arange(float(rng.uniform(4, 20)), 110, spacing):
            if _free(stage, side, z) and rng.random() < 0.85:
                stage.add(float(z), lamp_post, kerb, float(z), height, -side * float(rng.uniform(0.7, 1.6)))
                street.shadows.append((np.array([[kerb - 0.06, z], [kerb + 0.06, z]], np.float32), height))
        for z in 4.5 + 40 * rng.random(int(rng.integers(2, 6))) ** 1.4:
            stage.add_seen("sign", SIGN, (kerb, 2.9, float(z)), sign_post, stage.child(), kerb, float(z))
        for z in rng.uniform(4, 60, int(rng.integers(0, 5))):
            if _free(stage, side, z):
                stage.add(float(z), bollard, kerb, float(z), float(rng.uniform(0.8, 1.1)))
        if rng.random() < 0.4 and not street.parking[(side + 1) // 2]:
            start = float(rng.uniform(4, 18))
            _place_border(
                stage, side, side * (street.half + 0.35), (start, start + float(rng.uniform(6, 20))), "railings"
            )
        if street.pave[(side + 1) // 2] > 2.4 and rng.random() < 0.5:
            leafy = bool(rng.random() < 0.65)
            for z in np.arange(float(rng.uniform(6, 16)), 90, float(rng.uniform(8, 14))):
                if _free(stage, side, z):
                    _place_tree(stage, (side * (street.half + 0.9), float(z)), float(rng.uniform(5, 9)), leafy)
        if rng.random() < 0.4:
            stage.add(float(z), litter_bin, kerb + side * 0.5, float(rng.uniform(6, 22)))
    if street.side_streets or rng.random() < 0.35:
        z = min((s[1] for s in street.side_streets), default=30.0) - 2
        z = z if 7 < z < 45 else float(rng.uniform(9, 32))
        if rng.random() < 0.7:
            for x in (-street.half - 0.4, street.half + 0.4):
                stage.add_seen("traffic light", SIGN, (x, 2.7, z), traffic_light, stage.child(), x, z)


def place_traffic(stage: Stage) -> None:
    """Parked cars, traffic ahead and oncoming, and their shadows."""
    rng, street, camera = stage.rng, stage.street, stage.camera
    for side in (-1, 1):
        if street.parking[(side + 1) // 2]:
            z = float(rng.uniform(5, 10))
            while z < 85:
                gap = rng.random() < 0.22
                if not gap and _free(stage, side, z):
                    turned = rng.random() < (0.85 if side > 0 else 0.15)
                    _place_vehicle(
                        stage, (side * (street.half - 1.05), z), math.pi * turned + float(rng.normal(0, 0.03)), True
                    )
                z += float(rng.uniform(5.2, 6.6))
    ours, theirs = camera.lateral, (street.half - 2.1 * street.parking[1]) * 0.5 + 0.1
    z = float(rng.uniform(9, 30))
    for _ in range(int(rng.integers(0, 4))):
        _place_vehicle(stage, (ours + float(rng.normal(0, 0.15)), z), float(rng.normal(0, 0.02)), False)
        z += float(rng.uniform(8, 25))
    z = float(rng.uniform(8, 30))
    for _ in range(int(rng.integers(0, 5))):
        _place_vehicle(stage, (max(theirs, 1.2), z), math.pi + float(rng.normal(0, 0.03)), False)
        z += float(rng.uniform(8, 30))
    for side, z0, z1 in street.side_streets:
        if rng.random() < 0.5:
            _place_vehicle(
                stage, (side * (street.half + float(rng.uniform(2.5, 5))), (z0 + z1) / 2), side * -math.pi / 2, False
            )


def _place_vehicle(stage: Stage, centre: tuple[float, float], heading: float, parked: bool) -> None:
    kinds, odds = ("hatchback", "saloon", "estate", "van", "bus"), (0.4, 0.22, 0.22, 0.13, 0.0 if parked else 0.03)
    kind = str(stage.rng.choice(kinds, p=np.array(odds) / sum(odds)))
    half, length, top = HALF_WIDTH[kind], OUTLINES[kind][-1][0], 2.0 if kind == "van" else 1.4
    heading += math.atan(2 * stage.camera.bend * max(0.0, centre[1] - 8))
    args = (stage.child(), kind, centre, heading)
    noun = kind if kind in ("van", "bus") else "car"
    look = (centre[0], 0.75 if kind != "bus" else 1.5, centre[1])
    stage.add_seen(noun, CAR, look, vehicle, *args)
    c, s = math.cos(heading), math.sin(heading)
    box = np.array([[-half, -length / 2], [half, -length / 2], [half, length / 2], [-half, length / 2]])
    foot = (box @ np.array([[c, -s], [s, c]]) + centre).astype(np.float32)
    stage.street.shadows.append((foot, top if kind != "bus" else 3.0))
    stage.street.contacts.append(foot)


def place_people(stage: Stage) -> None:
    """Pedestrians in groups on the pavements, one crossing now and then, and cyclists on the road."""
    rng, street, camera = stage.rng, stage.street, stage.camera
    groups = int(rng.integers(2, 8))
    spots: list[tuple[float, float, bool]] = []
    for _ in range(groups):
        side, z = int(rng.choice([-1, 1])), float(5 + 32 * rng.random() ** 1.4)
        pave = street.pave[(side + 1) // 2]
        for k in range(int(rng.choice([1, 1, 2, 3]))):
            spots.append((side * (street.half + float(rng.uniform(0.5, pave - 0.3))), z + 0.6 * k, False))
    if rng.random() < 0.15:
        spots.append((float(rng.uniform(-0.8, 0.8)) * street.half, float(rng.uniform(12, 30)), False))
    for _ in range(int(rng.choice([0, 1, 1, 2, 3]))):
        x = camera.lateral - 1.2 if rng.random() < 0.6 else street.half - 0.8 - 2.1 * street.parking[1]
        spots.append((max(x, -street.half + 0.5), float(6 + 22 * rng.random() ** 1.3), True))
    for x, z, riding in spots:
        noun, label = ("cyclist", BICYCLIST) if riding else ("pedestrian", PEDESTRIAN)
        sideways = bool(rng.random() < (0.25 if riding else 0.4))
        stage.add_seen(noun, label, (x, 1.2, z), person, stage.child(), (x, z), riding, sideways)
        foot = np.array(
            [[x - 0.25, z - 0.15], [x + 0.25, z - 0.15], [x + 0.25, z + 0.15], [x - 0.25, z + 0.15]], np.float32
        )
        street.shadows.append((foot, 1.6))
        street.contacts.append(foot)


def place_near_car(stage: Stage) -> None:
    """Sometimes a large car right beside or before the lens."""
    rng, street = stage.rng, stage.street
    if rng.random() < 0.22 and not street.parking[1]:
        _place_vehicle(
            stage, (stage.camera.lateral + float(rng.uniform(2.4, 3.2)), float(rng.uniform(4.2, 6.5))), math.pi, False
        )
