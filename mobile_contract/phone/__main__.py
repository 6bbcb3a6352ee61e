"""Run the phone's commands: `python -m mobile_contract.phone`."""

from mobile_contract.phone.cli.main import app
from mobile_contract.terminals import tolerate_missing_letters

if __name__ == "__main__":
    tolerate_missing_letters()
    app(prog_name="scripts/phone")
