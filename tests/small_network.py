"""Three convolutions with batch norms, on which most passes have something to do: the network of the ten tasks."""

TEXT = """graph @tasks(%x: f32[1x8x32x32]) {
  const %w1: f32[16x8x3x3] = normal(seed=1)
  const %w2: f32[16x16x3x3] = normal(seed=2)
  const %w3: f32[16x16x1x1] = normal(seed=3)
  const %g: f32[16] = splat 1.5
  const %b: f32[16] = splat 0.25
  const %v: f32[16] = splat 2
  %c1: f32[1x16x32x32] = Conv(%x, %w1) {strides=[1, 1], pads=[1, 1, 1, 1]}  as first  from conv1
  %n1: f32[1x16x32x32] = BatchNormalization(%c1, %g, %b, %b, %v)  as norm1  from norm1
  %r1: f32[1x16x32x32] = Relu(%n1)  from relu1
  %c2: f32[1x16x32x32] = Conv(%r1, %w2) {strides=[1, 1], pads=[1, 1, 1, 1]}  as second  from conv2
  %n2: f32[1x16x32x32] = BatchNormalization(%c2, %g, %b, %b, %v)  as norm2  from norm2
  %wrong: f32[1x16x32x32] = Relu(%n2)  as last_relu  from relu2
  %c3: f32[1x16x32x32] = Conv(%wrong, %w3) {strides=[1, 1], pads=[0, 0, 0, 0]}  as third  from conv3
  %n3: f32[1x16x32x32] = BatchNormalization(%c3, %g, %b, %b, %v)  as norm3  from norm3
  %t3: f32[1x16x32x32] = Tanh(%c3)  from tanh3
  %s: f32[1x16x32x32] = Add(%n3, %t3)  as sum  from add
  return "y"=%s
}
"""
