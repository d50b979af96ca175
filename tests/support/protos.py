"""What a runner that updates a job compares of a pipeline: names, coders, states, windows."""

import apache_beam as beam
from apache_beam.portability import common_urns
from apache_beam.portability.api import beam_runner_api_pb2

_GROUPS = common_urns.primitives.GROUP_BY_KEY.urn
_PARDO = common_urns.primitives.PAR_DO.urn


def _proto(build, options=None):
    pipeline = beam.Pipeline("FnApiRunner", options)
    build(pipeline)
    return pipeline.to_runner_api()


def accumulator_coders(build):
    """The coders of what is added up, as text."""
    proto = _proto(build)
    payloads = [
        beam_runner_api_pb2.CombinePayload.FromString(step.spec.payload)
        for step in proto.components.transforms.values()
        if step.spec.urn == common_urns.composites.COMBINE_PER_KEY.urn
    ]
    return {coder(proto.components, each.accumulator_coder_id) for each in payloads}


def shape(build, options=None):
    """Of the pipeline that `build` adds steps to: a dictionary for each part that has to fit."""
    proto = _proto(build, options)
    parts = proto.components
    steps = {t.unique_name: t for t in parts.transforms.values() if not t.subtransforms}
    found = {"names": sorted(steps), "coders": {}, "states": {}, "windows": {}}
    for name, step in steps.items():
        states = _states(step)
        if step.spec.urn != _GROUPS and not states:
            continue
        # What waits before these is what an update finds.
        sides = _pardo(step).side_inputs if step.spec.urn == _PARDO else ()
        for pcollection in (
            parts.pcollections[i] for n, i in step.inputs.items() if n not in sides
        ):
            found["coders"][name] = coder(parts, pcollection.coder_id)
            windowing = parts.windowing_strategies[pcollection.windowing_strategy_id]
            found["windows"][name] = (
                windowing.window_fn.urn,
                windowing.window_fn.payload,
                windowing.trigger.SerializeToString(deterministic=True),
                windowing.allowed_lateness,
            )
        for state, spec in states.items():
            kind = spec.WhichOneof("spec")
            which = getattr(spec, kind)
            found["states"][f"{name}/{state}"] = (
                kind,
                coder(parts, getattr(which, "element_coder_id", "") or which.coder_id),
            )
    return found


def _states(step):
    if step.spec.urn != _PARDO:
        return {}
    return dict(_pardo(step).state_specs)


def _pardo(step):
    return beam_runner_api_pb2.ParDoPayload.FromString(step.spec.payload)


def coder(parts, which):
    """A coder as text: its URN, what it is pickled as if it is, and those within it."""
    found = parts.coders[which]
    inside = [coder(parts, each) for each in found.component_coder_ids]
    text = found.spec.urn.removeprefix("beam:coder:")
    if "pickled" in text or "python" in text:
        text += f"[{len(found.spec.payload)} bytes: {found.spec.payload[:0]!r}]"
    return f"{text}({', '.join(inside)})" if inside else text
