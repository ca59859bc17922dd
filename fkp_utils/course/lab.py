"""JupyterLab, set up for the course: photos of up to 200 MB reach the kernel, and saved notebooks keep their pictures.

    python -m fkp_utils.course.lab [JupyterLab's own options]

`make lab` calls it; the first notebook opens. Its root is the project's folder, so that links out of the notebooks lead there.
A widget lives in its kernel: in a notebook that was saved and opened again JupyterLab would prefer the dead widget ("model not
found") to the picture that stands beside it. So widgets are left out of what is saved.
"""

import os
import sys

from jupyterlab.labapp import LabApp

from ..folders import LAB_STYLE, NOTEBOOKS

FIRST = "notebooks/1_nose_tip.ipynb"     # what opens
WIDGET = "application/vnd.jupyter.widget-view+json"
LARGEST_UPLOAD = 200 * 2**20             # bytes; tornado's default, 10 MiB, is less than a phone's photo in PNG


def without_widgets(model: dict, **kwargs) -> None:
    """A pre_save_hook of Jupyter's ContentsManager: outputs that have a picture, too, lose their widget, in place."""
    if model["type"] != "notebook":
        return
    for cell in model["content"]["cells"]:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}) or "image/jpeg" in output.get("data", {}):
                output["data"].pop(WIDGET, None)


class Server(LabApp.serverapp_class):
    """Jupyter's, which knows where the course's custom.css is, for charts in a dark theme. A user's own comes first."""

    def init_webapp(self):
        """As Jupyter's; there the paths are read."""
        self.static_custom_path = [*self.static_custom_path, str(LAB_STYLE)]
        super().init_webapp()


ROOT = ("lab: you are root, so that a notebook could change any file of this machine. Start it as another user; or, in a "
        "container, say: make lab ALLOW_ROOT=1, or python -m fkp_utils.course lab --allow-root")


def main() -> int:
    """Start JupyterLab; 1 for root, unless that is allowed. --help shows JupyterLab's own options."""
    if getattr(os, "geteuid", lambda: 1)() == 0 and not any(word.partition("=")[0] in (
            "--allow-root", "--ServerApp.allow_root", "--help", "-h", "--help-all", "--version") for word in sys.argv[1:]):
        print(ROOT, file=sys.stderr)
        return 1
    settings = [f"--ContentsManager.pre_save_hook=fkp_utils.course.lab.{without_widgets.__name__}",
                f"--ServerApp.root_dir={NOTEBOOKS.parent}", f"--ServerApp.preferred_dir={NOTEBOOKS}",
                "--LabApp.custom_css=True", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
                f"--LabApp.default_url=/lab/tree/{FIRST}",
                f"--ServerApp.tornado_settings={{'websocket_max_message_size': {LARGEST_UPLOAD}}}"]
    LabApp.serverapp_class = Server
    # Where Jupyter looks for settings; the installation's and the user's own stay in force.
    os.environ["JUPYTER_CONFIG_PATH"] = os.pathsep.join(filter(None, [str(LAB_STYLE), os.environ.get("JUPYTER_CONFIG_PATH")]))
    LabApp.launch_instance([*settings, *sys.argv[1:]])
    return 0


if __name__ == "__main__":
    os._exit(main())                     # sys.exit would join a thread of AnyIO's that may wait for work without end
