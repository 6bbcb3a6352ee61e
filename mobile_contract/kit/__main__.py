"""`python -m mobile_contract.kit`: the command; what it does is left to `commands`."""

from mobile_contract.kit.main import app

if __name__ == "__main__":
    app(prog_name="python -m mobile_contract.kit")
