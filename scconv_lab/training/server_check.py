"""Whether a W&B server is there at all, asked before W&B's own client, which waits and tries again for minutes."""

import ssl
import urllib.error
import urllib.request
from http.client import HTTPException
from threading import Event, Thread


def answers(url: str, *, within: float) -> bool:
    """Whether a W&B server takes requests.

    An answer that refuses counts, for W&B's client says that better; 5xx does not. Nor does a certificate that Python
    knows no authority of speak against a server: W&B's client has authorities of its own.

    Args:
        url: Address of the server.
        within: Seconds that it has, the look-up of its name included, which nothing but a thread of its own can end.
    """
    answered = Event()

    def ask() -> None:
        headers = {"Content-Type": "application/json"}
        try:
            request = urllib.request.Request(f"{url.rstrip('/')}/graphql", b'{"query": "{ __typename }"}', headers)
            urllib.request.urlopen(request, timeout=within).close()
        except urllib.error.HTTPError as error:
            if error.code >= 500:
                return
        except urllib.error.URLError as error:
            if not isinstance(error.reason, ssl.SSLError):
                return
        except (OSError, HTTPException, ValueError):
            return
        answered.set()

    asking = Thread(target=ask, daemon=True)
    asking.start()
    asking.join(within)
    return answered.is_set()
