"""python -m examples.answers.notes SOUND.wav… prints the loudest note of every two seconds, by basic-pitch."""

from __future__ import annotations

import sys
import wave

import numpy as np

from examples.answers.packages import Arrays, compiled, model_file

MODEL = ("basic_pitch", "saved_models/icassp_2022/nmp.onnx")
RATE, SAMPLES = 22_050, 43_844
INPUT, NOTES = "serving_default_input_2:0", "StatefulPartitionedCall:1"
LOWEST = 21
"""MIDI number of the lowest of the 88 notes of a piano."""


def tone(hertz: float, seconds: float = SAMPLES / RATE) -> np.ndarray:
    """A note with five overtones that fade like a string's: f32[samples]."""
    t = np.arange(round(seconds * RATE)) / RATE
    parts = (np.sin(2 * np.pi * hertz * k * t) / k**1.5 for k in range(1, 7))
    return (0.4 * sum(parts) * np.exp(-t)).astype(np.float32)


def feed(sound: np.ndarray) -> Arrays:
    """At most SAMPLES samples at 22,050 Hz in -1…1, filled with silence: f32[1 × SAMPLES × 1]."""
    whole = np.zeros((1, SAMPLES, 1), np.float32)
    whole[0, : len(sound), 0] = sound[:SAMPLES]
    return {INPUT: whole}


def answer(outputs: Arrays) -> tuple[int, float]:
    """The MIDI number of the note that is most heard, and how sure the model is."""
    heard = outputs[NOTES][0].mean(axis=0)  # time × 88 notes
    return int(heard.argmax()) + LOWEST, float(heard.max())


def main(paths: list[str]) -> None:
    run = compiled(model_file(*MODEL))
    for path in paths:
        with wave.open(path) as file:
            assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (RATE, 1, 2), "22,050 Hz, mono"
            sound = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768
        for start in range(0, len(sound), SAMPLES):
            note, sure = answer(run(feed(sound[start : start + SAMPLES])))
            print(f"{path} at {start / RATE:.1f} s: MIDI {note} ({sure:.2f})")


if __name__ == "__main__":
    main(sys.argv[1:])
