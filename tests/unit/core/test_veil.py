"""What is hidden of objects, as their secrets come, change and go."""

from dataclasses import replace

from e2e_api.conditions import Condition, ConditionType, Status
from e2e_api.secrets import MASK
from e2e_controller.objects import ObjectStatus, PastContainer, Probe
from e2e_controller.veil import Veil

from .builders import NOW, container, key, object_of, workload


def known(veil: Veil, **variables: str) -> None:
    """The object's manifest has these variables from now on."""
    veil.changed(key(), None, object_of(workload(env=variables)))


def test_secrets_of_one_are_hidden_in_its_environment() -> None:
    veil = Veil()
    assert veil.hide_in(key(), "geheim-1") == "geheim-1"
    known(veil, TOKEN="geheim-1")
    veil.know(key("other"), [b"geheim-2\n", b"\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8"])
    assert veil.hide_in(key("third"), "geheim-1 geheim-2") == f"{MASK} {MASK}"
    assert veil.hide_in(key("web", "elsewhere"), "geheim-1 geheim-2") == "geheim-1 geheim-2"
    assert veil.hide("geheim-1 geheim-2") == f"{MASK} {MASK}"


def test_what_it_was_before_is_hidden_while_a_container_may_have_it() -> None:
    veil = Veil()
    for value in (b"geheim-1", b"geheim-2", b"geheim-3"):
        veil.know(key(), [value])
    assert veil.hide("geheim-1 geheim-2 geheim-3") == f"{MASK} {MASK} {MASK}"


def test_what_is_gone_is_forgotten() -> None:
    veil = Veil()
    known(veil, TOKEN="geheim-1")
    veil.know(key(), [b"geheim-2"])
    assert veil.hide("geheim-1 geheim-2") == f"{MASK} {MASK}"
    known(veil, TOKEN="geheim-3")
    assert veil.hide("geheim-1 geheim-3") == f"geheim-1 {MASK}"
    veil.changed(key(), object_of(workload()), None)
    assert veil.hide("geheim-2 geheim-3") == "geheim-2 geheim-3"


def test_all_texts_of_a_status_are_hidden() -> None:
    veil, text = Veil(), "x geheim-1 y"
    known(veil, TOKEN="geheim-1")
    past = PastContainer(container(), 0, (text,))
    status = ObjectStatus(
        conditions=(Condition(ConditionType.READY, Status.FALSE, "Reason", text),),
        progress=text,
        container=replace(container(), error=text, health_output=text),
        last_log_lines=(text,),
        past=past,
        probe=Probe(False, text, text, NOW, 1),
    )
    hidden = veil.hidden(key(), status)
    assert "geheim" not in repr(hidden)
    assert repr(hidden).count(MASK) == repr(status).count("geheim-1") == 8
    assert Veil().hidden(key(), status) is status
