"""Checks that the broker accepts the daemon's login, a message and a subscription. Shell over paho."""

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
from edge.doctor.finding import Finding, ok, warning, wrong
from edge.threads import ThreadError

ANSWER_SECONDS = 10.0  # for each step
PERMISSIONS_REMEDY = "check the broker's permissions for this user on the topics named in docs/mqtt.md"


@dataclass(frozen=True)
class BrokerStep:
    """One step of the broker; `fault`: why it failed, None where it succeeded."""

    name: str
    fault: str | None = None
    capabilities: Capabilities = Capabilities()


def broker(settings: MqttConfig, root: str) -> Finding:
    """Connect under a client id of its own, publish to `<root>/doctor` and receive that; nothing is retained.

    `root`: the prefix of all the device's topics.
    """
    where = f"broker {settings.host}:{settings.port}"
    steps: queue.SimpleQueue[BrokerStep] = queue.SimpleQueue()
    client, thread = _client(settings, steps), None
    try:
        log_in(client, settings)
        client.connect(settings.host, settings.port, settings.keepalive)
        thread = threads.start("doctor", client.loop_forever)
        return _exchange(client, steps, where, f"{root}/doctor", Capabilities(settings.retain, settings.qos))
    except (CredentialsError, ThreadError) as error:
        return wrong(where, str(error))
    except (OSError, ValueError) as error:
        return wrong(where, broker_faults.unreachable(error))
    finally:
        client.disconnect()
        if thread is not None:
            thread.join(ANSWER_SECONDS)


def log_in(client: Client, settings: MqttConfig) -> None:
    """Give a client the daemon's login and certificates. Raises CredentialsError."""
    if settings.username is not None:
        client.username_pw_set(settings.username, password(settings) or None)
    if settings.tls is not None:
        client.tls_set_context(tls_context(settings.tls))


def _client(settings: MqttConfig, steps: "queue.SimpleQueue[BrokerStep]") -> Client:
    """A client that puts every step of the broker into `steps`."""
    version = MQTTProtocolVersion.MQTTv5 if settings.version == 5 else MQTTProtocolVersion.MQTTv311
    name = f"korsal-edge-doctor-{uuid.uuid4().hex[:8]}"  # the daemon's own would disconnect the daemon
    client = Client(CallbackAPIVersion.VERSION2, client_id=name, protocol=version, reconnect_on_failure=False)
    client.connect_timeout = ANSWER_SECONDS

    def connected(_: Client, __: Any, ___: Any, code: ReasonCode, properties: Any) -> None:
        fault = broker_faults.refusal(code, settings.version) if code.is_failure else None
        found = capabilities.intersection(
            capabilities.from_connack(properties), Capabilities(settings.retain, settings.qos)
        )
        steps.put(BrokerStep("connected", fault, found))

    def subscribed(_: Client, __: Any, ___: int, codes: list[ReasonCode], ____: Any) -> None:
        refused = [code.getName() for code in codes if code.is_failure]
        steps.put(BrokerStep("subscribed", refused[0] if refused else None))

    def published(_: Client, __: Any, ___: int, code: ReasonCode, ____: Any) -> None:
        steps.put(BrokerStep("published", code.getName() if code.is_failure else None))

    client.on_connect = connected
    client.on_subscribe = subscribed
    client.on_publish = published
    client.on_message = lambda _, __, ___: steps.put(BrokerStep("received"))
    client.on_disconnect = lambda _, __, ___, ____, _____: steps.put(
        BrokerStep("ended", broker_faults.unanswered(settings.version))
    )
    return client


def _exchange(
    client: Client, steps: "queue.SimpleQueue[BrokerStep]", where: str, topic: str, expected: Capabilities
) -> Finding:
    """Subscribe, publish and receive. `expected`: the capabilities that the settings promise."""
    connection = _next(steps)
    if connection is None:
        return wrong(where, f"no answer within {ANSWER_SECONDS:g} s", "check [mqtt] host and port")
    if connection.fault is not None:
        return wrong(where, connection.fault)
    client.subscribe(topic, qos=1)
    subscribed = _next(steps)
    if subscribed is None or subscribed.fault is not None:
        reason = "no answer" if subscribed is None else subscribed.fault
        return warning(
            where, f"connected, but the subscription failed ({reason}), so requests do not arrive", PERMISSIONS_REMEDY
        )
    client.publish(topic, b"korsal-edge doctor", qos=connection.capabilities.qos)
    done = {step.name: step for step in (_next(steps), _next(steps)) if step is not None}
    acknowledged = done.get("published", BrokerStep("published", "no answer"))
    if acknowledged.fault is not None:
        return wrong(where, f"connected, but publishing to {topic} failed ({acknowledged.fault})", PERMISSIONS_REMEDY)
    if "received" not in done:
        return warning(where, f"connected and published, but nothing arrived on {topic}", PERMISSIONS_REMEDY)
    unconfigured = [limit for limit in connection.capabilities.limits if limit not in expected.limits]
    if unconfigured:
        return warning(where, f"connected, published and received on {topic}, but {'; '.join(unconfigured)}", "")
    return ok(where, f"connected, published and received on {topic}")


def _next(steps: "queue.SimpleQueue[BrokerStep]") -> BrokerStep | None:
    """The broker's next step; None where it does nothing."""
    try:
        return steps.get(timeout=ANSWER_SECONDS)
    except queue.Empty:
        return None
