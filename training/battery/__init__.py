"""The battery: images that a model meets by mistake, made from the user's own images or drawn.

Changed sets are the user's images after a change that keeps their class, such as a mirrored image. Foreign sets show
none of the classes, such as screenshots. The OOD score is chosen on a battery of the calibration images, and the report
shows a battery of the test images.
"""

from training.battery.foreign import network_input
from training.battery.sets import COUNT, BatterySet, battery_sets, sample

__all__ = ["COUNT", "BatterySet", "battery_sets", "network_input", "sample"]
