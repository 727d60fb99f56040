"""The service alone, with its models loaded only when they are asked."""

from seglab.api.app import create_api

app = create_api(warm=False)
