"""Run the phone's commands: `python -m mobile_contract.phone`."""

from mobile_contract.phone.cli.main import app

if __name__ == "__main__":
    app(prog_name="scripts/phone")
