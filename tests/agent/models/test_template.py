"""Renderers out of templates: shapes that models are published with, and programs that mean harm."""
# ruff: noqa: E501 - templates and what they write

import anyio
import pytest
from inline_snapshot import snapshot

from journeyman.agent.models import template
from journeyman.agent.models.families import CHATML
from journeyman.agent.models.renderer import SAMPLE, SAMPLE_TOOL, Dialect
from journeyman.agent.models.template import derive, derived
from journeyman.errors import BadTemplate

CHATML_TEMPLATE = """{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"""
BRACKETS = """{{ bos_token }}{% for m in messages %}
{%- if m.role == 'system' %}{{ '[SYSTEM_PROMPT]' + m.content + '[/SYSTEM_PROMPT]' }}
{%- elif m.role == 'user' %}{{ '[INST]' + m.content + '[/INST]' }}
{%- elif m.role == 'tool' %}{{ '[TOOL_RESULTS]' + m.content + '[/TOOL_RESULTS]' }}
{%- elif m.tool_calls %}{{ '[TOOL_CALLS] [' }}{% for c in m.tool_calls %}
{{- '{"name": "' + c.function.name + '", "arguments": ' + c.function.arguments|tojson + ', "id": "' + c.id + '"}' }}
{%- endfor %}{{ ']' + eos_token }}
{%- else %}{{ m.content + eos_token }}{% endif %}{% endfor %}"""
NO_SYSTEM = """{{ bos_token }}{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}
{%- for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('must alternate') }}{% endif %}
{{- '<|' + m.role + '|>\n' + m.content | trim + '<|end|>\n' }}{% endfor %}
{%- if add_generation_prompt %}<|assistant|>\n{% endif %}"""
FORGETFUL = """{% for m in messages %}{% set text = m.content %}
{%- if m.role == 'assistant' and not loop.last %}{% set text = text.split('</think>')[-1] %}{% endif %}
{{- '<|turn|>' + m.role + '<|sep|>' + text + '<|over|>' }}{% endfor %}
{%- if add_generation_prompt %}{{ '<|turn|>assistant<|sep|>' }}{% endif %}"""
ARROWS = """{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}<U>{{ m.content }}
{%- elif m.role == 'system' %}{{ m.content }}
{%- elif m.role == 'tool' %}<out>{{ m.content }}</out>
{%- elif m.tool_calls %}<A>{% for c in m.tool_calls %}<call>{{ c.function.name }}<args>{{ c.function.arguments | tojson }}</call>
{%- endfor %}<E>{% else %}<A>{{ m.content }}<E>{% endif %}{% endfor %}{% if add_generation_prompt %}<A>{% endif %}"""


def text(segments):
    return "".join(f"⟪{each.text}⟫" if each.control else each.text for each in segments if each.text)


def written(renderer):
    return text(renderer.prompt("Be kind.", [], SAMPLE[:1])), text(renderer.more(SAMPLE[2:3]))


def test_the_template_of_chatml_writes_what_the_family_writes():
    renderer = derive(CHATML_TEMPLATE, "", "<|im_end|>")

    told = {"name": CHATML.name, "origin": ""}
    assert written(renderer.model_copy(update=told)) == written(CHATML)
    assert (renderer.end, renderer.after, renderer.system) == (CHATML.end, CHATML.after, CHATML.system)


def test_a_thought_that_the_template_begins_is_begun_by_the_runtime_and_in_no_earlier_turn():
    plain = derive(CHATML_TEMPLATE, "", "<|im_end|>")
    thinks = derive(
        CHATML_TEMPLATE.replace("assistant\n' }}{% endif", "assistant\n<think>\n' }}{% endif"), "", "<|im_end|>"
    )

    assert (plain.thinks_first, thinks.thinks_first) == (False, True)
    assert thinks.model_copy(update={"thinks_first": False, "origin": plain.origin}) == plain


def test_calls_and_results_are_written_as_the_template_does():
    renderer = derive(BRACKETS, "<s>", "</s>")

    assert text(renderer.prompt("Be kind.", [SAMPLE_TOOL], SAMPLE[:4])) == snapshot("""\
⟪<s>[SYSTEM_PROMPT]⟫Be kind.

Tools:
files__read(path?: string, start?: integer) - Read a text file

To call a tool write [TOOL_CALLS] [{"name": "...", "arguments": {...}, "id": "call00000"}]⟪[/SYSTEM_PROMPT]⟫⟪[INST]⟫What does a.txt say?⟪[/INST]⟫<think>
I read it.
</think>


⟪[TOOL_CALLS] [{"name": "⟫files__read⟪", "arguments": ⟫{"path": "a.txt"}⟪, "id": "call00000"}]⟫⟪</s>⟫⟪[TOOL_RESULTS]⟫Hello.⟪[/TOOL_RESULTS]⟫It says hello.⟪</s>⟫\
""")
    assert renderer.dialect == snapshot(
        Dialect(opens="[TOOL_CALLS]", head=' [{"name": "', middle='", "arguments": ', close=', "id": "call00000"}]')
    )


def test_a_name_need_not_be_json():
    renderer = derive(ARROWS, "<s>", "<E>")

    assert renderer.dialect == Dialect(opens="<call>", head="", middle="<args>", close="</call>")
    assert renderer.result == ("<out>", "</out>")


def test_a_template_without_a_system_turn_gets_the_instructions_in_the_first_user_turn():
    renderer = derive(NO_SYSTEM, "<s>", "</s>")

    assert renderer.system is None
    assert written(renderer) == snapshot(
        (
            """\
⟪<s>⟫⟪<|user|>
⟫Be kind.

What does a.txt say?⟪<|end|>
⟫⟪<|assistant|>
⟫\
""",
            """\
⟪
⟫⟪<|user|>
⟫<tool_response>
Hello.
</tool_response>⟪<|end|>
⟫⟪<|assistant|>
⟫\
""",
        )
    )


def test_what_a_template_would_forget_of_earlier_turns_stays():
    renderer = derive(FORGETFUL, "", "<|over|>")

    assert "I read it." in text(renderer.prompt("Be kind.", [], SAMPLE))
    assert renderer.more(SAMPLE[4:])[0].text == ""


@pytest.fixture
def anyio_backend():
    return "asyncio"  # a process for each is enough once


HOSTILE = {
    "a syntax error": ("{% for", "TemplateSyntaxError"),
    "a way out": ("{{ ''.__class__.__mro__ }}", "SecurityError"),
    "memory": ("{{ 'x' * 100000 * 100000 }}", "MemoryError|OverflowError"),
    "nothing said": ("hello", "ValueError|not found"),
    "a refusal": ("{{ raise_exception('no') }}", "no"),
}


@pytest.mark.parametrize(("source", "words"), HOSTILE.values(), ids=HOSTILE)
async def test_a_bad_template_is_a_model_error(source, words):
    with pytest.raises(BadTemplate, match=words) as caught:
        await derived(source, "", "</s>")

    assert "Engine(renderer=" in caught.value.fix


async def test_a_template_that_does_not_end_is_stopped(monkeypatch):
    monkeypatch.setattr(template, "PATIENCE", 1.0)
    source = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"

    with anyio.fail_after(50), pytest.raises(BadTemplate, match="runs for more than 1 seconds"):
        await derived(source, "", "</s>")
