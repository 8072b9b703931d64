"""What an era, the number of accepted gaps of identity's log, does to numbers that have to grow for ever.

After a gap identity may have forgotten what it told, and its log may count from 0 again. Whoever was told a fragment's
epoch takes no notice of a lower one, so epochs of a new era are above all those of the eras before it.
"""

from typing import Final

#: Epochs of one era: more than a fragment ever has.
EPOCH_BITS: Final = 32
#: Offsets of one era, so that what was formed in a later one sorts as formed later.
FORMED_ERA_BITS: Final = 40


def epoch_floor(era: int) -> int:
    """What every epoch of the era is above."""
    return era << EPOCH_BITS


def era_of_epoch(epoch: int) -> int:
    """The era that an epoch is of."""
    return epoch >> EPOCH_BITS


def raised_epoch(epoch: int, floor: int) -> int:
    """The epoch as one of the era whose floor is given; raising it twice is raising it once."""
    return epoch if epoch >= floor else floor + (epoch & (1 << EPOCH_BITS) - 1)
