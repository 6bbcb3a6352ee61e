"""Run the kit's command: `python -m mobile_contract.kit`."""

from mobile_contract.kit.main import app

if __name__ == "__main__":
    app(prog_name="python -m mobile_contract.kit")
