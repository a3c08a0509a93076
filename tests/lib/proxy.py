"""A TCP proxy that does to a connection what networks do: delays, resets, cut requests, and answers that get lost after the
server has done its work. Python's standard library only.

    with Proxy(lambda: (logd.host, logd.port), seed=1, lose=.2) as proxy:
        ... proxy.url ...; proxy.heal(); proxy.done   {"lose": 3, ...}"""
import collections, random, socket, struct, threading, time


class Proxy:
    def __init__(self, target, seed=0, refuse=0.0, cut=0.0, lose=0.0, delay=0.0):
        """The chances: that a connection is refused, that one is reset within its request, that an answer is lost (the
        connection is reset instead), that an answer comes late."""
        self.target, self.random = target, random.Random(seed)
        self.chance = {"refuse": refuse, "cut": cut, "lose": lose, "delay": delay}
        self.done = collections.Counter()
        self.lock = threading.Lock()
        self.server = socket.create_server(("127.0.0.1", 0))
        self.url = "http://127.0.0.1:%d" % self.server.getsockname()[1]

    def __enter__(self):
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.close()

    def heal(self):
        self.chance = dict.fromkeys(self.chance, 0)

    def happens(self, what):
        with self.lock:
            yes = self.random.random() < self.chance[what]
            self.done[what] += yes
        return yes

    def accept(self):
        while True:
            try:
                client = self.server.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        try:
            if self.happens("refuse"):
                return reset(client)
            server = socket.create_connection(self.target(), timeout=10)
        except OSError:
            return reset(client)
        for s in (client, server):
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            s.settimeout(None)
        threading.Thread(target=self.pump, args=(client, server, "cut"), daemon=True).start()
        self.pump(server, client, "lose")

    def pump(self, source, to, fault):
        """Carries bytes one way; each piece may be the last, and half of a piece that is cut still arrives."""
        try:
            while True:
                piece = source.recv(65536)
                if not piece:
                    break
                if fault == "lose" and self.happens("delay"):
                    time.sleep(.2)
                if self.happens(fault):
                    if fault == "cut":
                        to.sendall(piece[:len(piece) // 2])
                    break
                to.sendall(piece)
        except OSError:
            pass
        reset(source)
        reset(to)


def reset(s):
    """Ends a connection at once, also for a thread that waits on it."""
    try:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.shutdown(socket.SHUT_RD)
    except OSError:
        pass
    s.close()
