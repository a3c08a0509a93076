"""A program with Debian's python3-sentry-sdk. usage: sentry_python.py DSN"""
import sys, sentry_sdk
sentry_sdk.init(sys.argv[1], release="shop@1.4", environment="test")


def read(settings, password):
    return settings["port"]


for i in range(4):
    try:
        read({"n": i}, "hunter2")
    except KeyError as why:
        sentry_sdk.capture_exception(why)
sentry_sdk.flush(5)
