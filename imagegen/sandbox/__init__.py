"""Both providers' APIs, emulated: an app to mount in tests, or to serve on a port.

Nothing here needs a key or a network. Pictures need Pillow and a port needs uvicorn:
`pip install 'imagegen-client[sandbox]'`.
"""

from imagegen.sandbox.app import Sandbox, Submission
from imagegen.sandbox.faults import Fault

__all__ = ["Fault", "Sandbox", "Submission"]
