"""python -m examples.answers.speech SOUND.wav… prints when somebody speaks, by silero-vad with its state carried on."""

from __future__ import annotations

import sys
import wave

import numpy as np

from examples.answers.packages import Run, compiled, model_file

PACKAGE = "silero_vad"
FILES = {"silero": "silero_vad.onnx", "silero_op15": "silero_vad_16k_op15.onnx", "silero_half": "silero_vad_half.onnx",
         "silero_openvino": "silero_vad_openvino_16k.onnx", "silero_ifless": "silero_vad_op18_ifless.onnx"}
WITHOUT_RATE = ("silero_half", "silero_openvino")
RATE, FRAME, CONTEXT = 16_000, 512, 64
"""Samples a second, new samples of a call, and samples of the last call that stand before them."""
SHAPES = {"input": (1, CONTEXT + FRAME), "state": (2, 1, 128)}
VOWELS = {"a": (730, 1090, 2440), "i": (270, 2290, 3010), "u": (300, 870, 2240), "e": (530, 1840, 2480),
          "o": (570, 840, 2410)}
"""Resonances of a mouth in hertz (Peterson and Barney 1952)."""


def probabilities(run: Run, sound: np.ndarray, rate: bool = True) -> np.ndarray:
    """How probably somebody speaks, for every 32 ms of f32[samples] at 16 kHz; one call each, the state goes on."""
    state, context, found = np.zeros((2, 1, 128), np.float32), np.zeros(CONTEXT, np.float32), []
    for start in range(0, len(sound) - FRAME + 1, FRAME):
        window = np.concatenate([context, sound[start : start + FRAME]])
        inputs = {"input": window[None], "state": state, **({"sr": np.array(RATE)} if rate else {})}
        probability, state = run(inputs).values()
        context = window[-CONTEXT:]
        found.append(probability.item())
    return np.array(found)


def voice(vowels: str = "aiueoaeiou", each: float = 0.18) -> np.ndarray:
    """Vowels as a throat and a mouth make them: pulses of a falling and rising pitch through three resonances."""
    parts, phase, rng = [], 0.0, np.random.default_rng(0)
    for k, vowel in enumerate(vowels):
        n = int(each * RATE)
        pitch = 120 + 25 * np.sin(2 * np.pi * (k + np.arange(n) / n) / len(vowels))
        phases = phase + np.cumsum(pitch) / RATE
        sound = (np.diff(np.floor(phases), prepend=np.floor(phase)) > 0) + rng.normal(size=n) * 0.01
        for hertz, width in zip(VOWELS[vowel], (80, 100, 150), strict=True):
            sound = _resonance(sound, hertz, width)
        parts += [sound / np.abs(sound).max() * np.sqrt(np.sin(np.pi * (np.arange(n) + 0.5) / n)), np.zeros(640)]
        phase = phases[-1]
    return 0.6 * np.concatenate(parts).astype(np.float32)


def _resonance(sound: np.ndarray, hertz: float, width: float) -> np.ndarray:
    """What a resonator of this frequency and width (both in hertz) lets through."""
    r = np.exp(-np.pi * width / RATE)
    a, b = 2 * r * np.cos(2 * np.pi * hertz / RATE), -r * r
    y = [0.0, 0.0]
    for sample in sound:
        y.append((1 - a - b) * sample + a * y[-1] + b * y[-2])
    return np.array(y[2:])


def detector(name: str = "silero") -> Run:
    """One of FILES as machine code, for windows of 576 samples."""
    return compiled(model_file(PACKAGE, f"data/{FILES[name]}"), SHAPES)


def main(paths: list[str]) -> None:
    run = detector()
    for path in paths:
        with wave.open(path) as file:
            assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (RATE, 1, 2), "16,000 Hz, mono"
            sound = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768
        for k, probability in enumerate(probabilities(run, sound)):
            print(f"{path} at {k * FRAME / RATE:6.2f} s: {'#' * round(40 * probability)}")


if __name__ == "__main__":
    main(sys.argv[1:])
