"""Remember whether the demo is still to be loaded into a data folder."""

from storage.embedded.data_folder import DataFolder, write_private


class Demo:
    """The state of the demo in a data folder.

    `order` makes the demo due. The demo stays due until it is loaded completely, even if loading is interrupted.
    """

    def __init__(self, folder: DataFolder) -> None:
        self._state = folder.root / "demo"

    def order(self) -> None:
        write_private(self._state, "due")

    def mark_loaded(self) -> None:
        write_private(self._state, "loaded")

    @property
    def is_due(self) -> bool:
        return self._state.exists() and self._state.read_text() == "due"
