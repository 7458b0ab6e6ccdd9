"""What trained models answer when glowviz's own machine code computes them: python -m examples.answers.faces PICTURE.

Every file is one question: file_types, read_text, notes, faces, speech, sentences. Each prepares what its model wants,
compiles the model with `glowviz.compile`, and reads the numbers that come out. The models lie in packages that
`make models` installs; nothing is imported from those packages.
"""
