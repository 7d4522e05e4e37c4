"""A page that says which machine made it."""

import platform

import flask

app = flask.Flask(__name__)


@app.get("/")
def greeting():
    return f"Hello from Python {platform.python_version()} on {platform.machine()}\n"


if __name__ == "__main__":
    # Without a server: what the page would say.
    print(app.test_client().get("/").text, end="")
