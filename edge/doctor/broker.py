"""Does the broker let us in, take what we publish and give it back? With the daemon's credentials. Shell over paho."""

import queue
import uuid
from dataclasses import dataclass
from typing import Any

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.reasoncodes import ReasonCode

from edge import threads
from edge.broker import broker_faults, capabilities
from edge.broker.capabilities import Capabilities
from edge.broker.credentials import CredentialsError, password, tls_context
from edge.config.schema import MqttConfig
from edge.doctor.finding import Finding, ok, told, warning, wrong
from edge.threads import ThreadError

ANSWER_SECONDS = 10.0  # for each step
RIGHTS = "check the broker's rights for this user below the topics named in docs/mqtt.md"


@dataclass(frozen=True)
class Step:
    """One thing that the broker did: `fault` is why it did not."""

    name: str
    fault: str | None = None
    grants: Capabilities = Capabilities()


def broker(settings: MqttConfig, root: str) -> Finding:
    """Connect under a name of our own, publish to `<root>/doctor`, receive that. Nothing is retained, no will is left.

    `root`: what all topics of the device begin with.
    """
    where = f"broker {settings.host}:{settings.port}"
    steps: queue.SimpleQueue[Step] = queue.SimpleQueue()
    client, thread = _client(settings, steps), None
    try:
        if settings.username is not None:
            client.username_pw_set(settings.username, password(settings) or None)
        if settings.tls is not None:
            client.tls_set_context(tls_context(settings.tls))
        client.connect(settings.host, settings.port, settings.keepalive)
        thread = threads.start("doctor", client.loop_forever)
        return _converse(client, steps, where, f"{root}/doctor", Capabilities(settings.retain, settings.qos))
    except (CredentialsError, ThreadError) as error:
        return told(where, str(error))
    except (OSError, ValueError) as error:
        return told(where, broker_faults.unreachable(error))
    finally:
        client.disconnect()
        if thread is not None:
            thread.join(ANSWER_SECONDS)


def _client(settings: MqttConfig, steps: "queue.SimpleQueue[Step]") -> Client:
    """One that puts every step of the broker into `steps`."""
    version = MQTTProtocolVersion.MQTTv5 if settings.version == 5 else MQTTProtocolVersion.MQTTv311
    name = f"korsal-edge-doctor-{uuid.uuid4().hex[:8]}"  # the daemon's own would throw the daemon out
    client = Client(CallbackAPIVersion.VERSION2, client_id=name, protocol=version, reconnect_on_failure=False)
    client.connect_timeout = ANSWER_SECONDS

    def connected(_: Client, __: Any, ___: Any, code: ReasonCode, properties: Any) -> None:
        fault = broker_faults.refusal(code, settings.version) if code.is_failure else None
        found = capabilities.intersection(
            capabilities.from_connack(properties), Capabilities(settings.retain, settings.qos)
        )
        steps.put(Step("connected", fault, found))

    def subscribed(_: Client, __: Any, ___: int, codes: list[ReasonCode], ____: Any) -> None:
        refused = [code.getName() for code in codes if code.is_failure]
        steps.put(Step("subscribed", refused[0] if refused else None))

    def published(_: Client, __: Any, ___: int, code: ReasonCode, ____: Any) -> None:
        steps.put(Step("published", code.getName() if code.is_failure else None))

    client.on_connect = connected
    client.on_subscribe = subscribed
    client.on_publish = published
    client.on_message = lambda _, __, ___: steps.put(Step("received"))
    client.on_disconnect = lambda _, __, ___, ____, _____: steps.put(
        Step("ended", broker_faults.unanswered(settings.version))
    )
    return client


def _converse(client: Client, steps: "queue.SimpleQueue[Step]", where: str, topic: str, known: Capabilities) -> Finding:
    """`known`: what the settings say of the broker."""
    entered = _next(steps)
    if entered is None:
        return wrong(where, f"no answer within {ANSWER_SECONDS:g} s", "check [mqtt] host and port")
    if entered.fault is not None:
        return told(where, entered.fault)
    client.subscribe(topic, qos=1)
    heard = _next(steps)
    if heard is None or heard.fault is not None:
        reason = "no answer" if heard is None else heard.fault
        return warning(where, f"connected, but it lets us hear nothing ({reason}), so no requests come", RIGHTS)
    client.publish(topic, b"korsal-edge doctor", qos=entered.grants.qos)
    done = {step.name: step for step in (_next(steps), _next(steps)) if step is not None}
    taken = done.get("published", Step("published", "no answer"))
    if taken.fault is not None:
        return wrong(where, f"connected, but it takes no message on {topic} ({taken.fault})", RIGHTS)
    if "received" not in done:
        return warning(where, f"connected and published, but nothing came back on {topic}", RIGHTS)
    unsaid = [limit for limit in entered.grants.limits if limit not in known.limits]
    if unsaid:
        return warning(where, f"connected, published and received on {topic}, but {'; '.join(unsaid)}", "")
    return ok(where, f"connected, published and received on {topic}")


def _next(steps: "queue.SimpleQueue[Step]") -> Step | None:
    """What the broker does next; None where it does nothing."""
    try:
        return steps.get(timeout=ANSWER_SECONDS)
    except queue.Empty:
        return None
