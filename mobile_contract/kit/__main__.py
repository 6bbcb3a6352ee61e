"""Run the kit's command: `python -m mobile_contract.kit`."""

from mobile_contract.kit.main import app
from mobile_contract.terminals import tolerate_missing_letters

if __name__ == "__main__":
    tolerate_missing_letters()
    app(prog_name="python -m mobile_contract.kit")
