"""Recurrent layers."""

from dataclasses import replace

import numpy as np

from draw import Config, Draw, Outputs, without_tail

# Activations with how many of alpha and beta they take.
ACTIVATIONS = {
    "Relu": (0, 0),
    "Tanh": (0, 0),
    "Sigmoid": (0, 0),
    "Affine": (1, 1),
    "LeakyRelu": (1, 0),
    "ThresholdedRelu": (1, 0),
    "ScaledTanh": (1, 1),
    "HardSigmoid": (1, 1),
    "Elu": (1, 0),
    "Softsign": (0, 0),
    "Softplus": (0, 0),
}
# The default of ThresholdedRelu is 0 in ONNX Runtime, 1 in the standard.
WITHOUT_DEFAULTS = {"Affine", "ScaledTanh", "ThresholdedRelu"}


def activations(d: Draw, count: int) -> dict:
    names = [d.pick(list(ACTIVATIONS)) for _ in range(count)]
    alpha = [d.number(0.1, 0.9) for name in names if ACTIVATIONS[name][0]]
    beta = [d.number(0.1, 0.9) for name in names if ACTIVATIONS[name][1]]
    if not WITHOUT_DEFAULTS.intersection(names) and d.chance(0.4):
        return {"activations": names}
    return {"activations": names, "activation_alpha": alpha or None, "activation_beta": beta or None}


def batch_first(config: Config, outputs: Outputs) -> tuple[Config, Outputs]:
    """The same with `layout` 1, which ONNX Runtime does not take."""
    inputs = list(config.inputs)
    for i in (0, 5, 6):
        if i < len(inputs) and inputs[i] is not None:
            inputs[i] = inputs[i].transpose(1, 0, 2)
    used = [i for i, is_used in enumerate(config.outputs) if is_used]
    turned = [y.transpose((2, 0, 1, 3) if i == 0 else (1, 0, 2)) for i, y in zip(used, outputs)]
    return replace(config, inputs=inputs, attributes=config.attributes | {"layout": 1}), turned


def layer(gates: int, functions: int, outputs: int):
    def draw_config(d: Draw, i: int) -> Config:
        steps, batch, size = d.between(1, 6), d.between(1, 4), d.between(1, 6)
        hidden = 70 if i % 10 == 9 else d.between(1, 6)
        direction = ("forward", "reverse", "bidirectional", None)[i % 4]
        ways = 2 if direction == "bidirectional" else 1
        lengths = d.ints((batch,), 0 if i % 5 == 0 else 1, steps, np.int32)
        inputs = [
            d.floats((steps, batch, size)),
            d.floats((ways, gates * hidden, size)),
            d.floats((ways, gates * hidden, hidden)),
            d.maybe(d.floats((ways, 2 * gates * hidden)), 0.6),
            d.maybe(lengths, 0.5),
            d.maybe(d.floats((ways, batch, hidden)), 0.5),
        ]
        if gates == 4:
            inputs.append(d.maybe(d.floats((ways, batch, hidden)), 0.5))
            inputs.append(d.maybe(d.floats((ways, 3 * hidden)), 0.4))
        attributes = {"hidden_size": hidden, "direction": direction}
        if d.chance(0.4):
            attributes |= activations(d, functions * ways)
        attributes["clip"] = d.maybe(d.number(0.5, 1.5), 0.3)
        if gates == 3:
            attributes["linear_before_reset"] = d.pick([None, 0, 1])
        if gates == 4:
            attributes["input_forget"] = d.pick([None, 0, 1])
        used = [d.chance(0.8) for _ in range(outputs)]
        used[d.below(outputs)] = True
        while not used[-1]:
            used.pop()
        opset = d.pick([7, 14, 22])
        stored = batch_first if opset > 7 and d.chance(0.4) else None
        return Config(without_tail(inputs), opset, attributes, used, d.pick([[], [1, 2, 3]]), stored=stored)

    return draw_config


OPERATORS = {"LSTM": layer(4, 3, 3), "GRU": layer(3, 2, 2), "RNN": layer(1, 1, 2)}
