"""`python -m mobile_contract.phone`: the commands; what they do is left to `commands`."""

from mobile_contract.phone.cli.main import app

if __name__ == "__main__":
    app(prog_name="scripts/phone")
