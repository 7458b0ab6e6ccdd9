"""A picture file becomes an input: cut to its size, as channels it has, with numbers scaled as a recipe says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from glowviz.compiler.problem import Problem, told
from glowviz.compiler.types import Type

MOST_PIXELS = 64_000_000
CHOICES = {
    "fit": {"crop": "cut to the middle", "stretch": "stretched", "border": "whole, with a border of black"},
    "scale": {"0..1": "x / 255", "-1..1": "x / 127.5 − 1", "0..255": "x as it is",
              "imagenet": "(x / 255 − mean) / deviation of ImageNet"},
    "colours": {"RGB": "red, green, blue", "BGR": "blue, green, red"},
    "light": {"as it is": "", "inverted": "dark and light exchanged"},
}
"""What a recipe may say, each with the words that tell it."""
MEAN = np.array((0.485, 0.456, 0.406), np.float32)
DEVIATION = np.array((0.229, 0.224, 0.225), np.float32)


@dataclass(frozen=True)
class Recipe:
    """How pixels become numbers; an empty choice is made by the input: ImageNet's scale for three float channels."""

    fit: str = "crop"
    scale: str = ""
    colours: str = "RGB"
    light: str = "as it is"

    @classmethod
    def of(cls, choices: Mapping[str, Any]) -> Recipe:
        """The recipe with these choices; a Problem names the one that there is not."""
        known = {one.name for one in fields(cls)}
        for key, choice in choices.items():
            if key not in known or (choice and choice not in CHOICES[key]):
                allowed = ", ".join(CHOICES[key]) if key in known else ", ".join(sorted(known))
                said = f"{told(str(key))}={told(str(choice))}"
                raise Problem(f"Pixels cannot be {said}", "the recipe for pictures", allowed)
        return cls(**{key: str(choice) for key, choice in choices.items() if choice})


@dataclass(frozen=True)
class Picture:
    """A PNG, JPEG, WebP, BMP or GIF file, and how it becomes numbers."""

    path: Path
    name: str = ""
    recipe: Recipe = Recipe()

    def array(self, wanted: Type) -> np.ndarray:
        """The picture as an array of this type: [N, C, H, W], [N, H, W, C], [C, H, W], [H, W, C] or [H, W]."""
        return self.made(wanted)[0]

    def made(self, wanted: Type) -> tuple[np.ndarray, str]:
        """The array, and one sentence that says how it came about."""
        channels, last, height, width = self._places(wanted)
        recipe = self._settled(wanted, channels)
        pixels, size = self._pixels(channels, height, width, recipe)
        numbers = _scaled(pixels, recipe)
        numbers = numbers if last else np.moveaxis(numbers, -1, 0)
        array = np.broadcast_to(numbers, wanted.dims) if len(wanted.dims) > 2 else numbers[0 if not last else ...]
        return np.ascontiguousarray(array.astype(wanted.dtype)), self._sentence(size, (width, height), channels, recipe)

    def _places(self, wanted: Type) -> tuple[int, bool, int, int]:
        """Channels, whether they stand last, height and width of an input that can hold a picture."""
        dims = tuple(wanted.dims)
        if wanted.is_float or wanted.elem == "u8":
            if len(dims) == 2:
                return 1, False, dims[0], dims[1]
            if len(dims) in (3, 4) and dims[-3] in (1, 3, 4):
                return dims[-3], False, dims[-2], dims[-1]
            if len(dims) in (3, 4) and dims[-1] in (1, 3, 4):
                return dims[-1], True, dims[-3], dims[-2]
        raise Problem(f"The input is {wanted.logical}, which holds no picture", told(self.name or self.path.name),
                      "f32[N x C x H x W] or [N x H x W x C] with 1, 3 or 4 channels", "Give an .npy or .npz file")

    def _settled(self, wanted: Type, channels: int) -> Recipe:
        if wanted.elem == "u8":
            return replace(self.recipe, scale="0..255")
        usual = "imagenet" if channels == 3 else "0..1"
        scale = self.recipe.scale or usual
        return replace(self.recipe, scale="0..1" if scale == "imagenet" and channels != 3 else scale)

    def _pixels(
        self, channels: int, height: int, width: int, recipe: Recipe
    ) -> tuple[np.ndarray, tuple[int, int]]:
        """u8[height, width, channels], and the size of the file's picture."""
        from PIL import Image, ImageOps

        name = told(self.name or self.path.name)
        try:
            with Image.open(self.path) as file:
                size = file.size
                if size[0] * size[1] > MOST_PIXELS:
                    raise Problem(f"{name} has {size[0]} × {size[1]} pixels", name,
                                  f"at most {MOST_PIXELS // 10**6} million", "Make it smaller first")
                file.draft("RGB", (2 * width, 2 * height))  # a big JPEG is read at a fraction of its size
                turned = ImageOps.exif_transpose(file).convert("RGBA")
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            if isinstance(error, Problem):
                raise
            raise Problem(f"{name} is no picture that can be read, and no array file", name,
                          "PNG, JPEG, WebP, BMP, GIF, .npz or .npy", "Save it again as PNG") from None
        ground = Image.new("RGBA", turned.size, "white")  # what shines through is white, as on paper
        solid = turned if channels == 4 else Image.alpha_composite(ground, turned)
        fitted = _fitted(solid.convert({1: "L", 3: "RGB", 4: "RGBA"}[channels]), (width, height), recipe.fit)
        return np.asarray(fitted).reshape(height, width, channels), size

    def _sentence(self, size: tuple[int, int], wanted: tuple[int, int], channels: int, recipe: Recipe) -> str:
        fit = CHOICES["fit"][recipe.fit] if size != wanted else "same size"
        colours = {1: "grey", 3: CHOICES["colours"][recipe.colours], 4: "red, green, blue, opacity"}[channels]
        light = f", {CHOICES['light'][recipe.light]}" if CHOICES["light"][recipe.light] else ""
        place = f"{size[0]}×{size[1]} → {wanted[0]}×{wanted[1]} ({fit})"
        return f"{self.name or self.path.name}: {place}, {colours}{light}, {CHOICES['scale'][recipe.scale]}"


def _fitted(picture: Any, size: tuple[int, int], fit: str) -> Any:
    from PIL import Image, ImageOps

    smooth = Image.Resampling.BILINEAR
    if fit == "crop":
        return ImageOps.fit(picture, size, smooth)
    return picture.resize(size, smooth) if fit == "stretch" else ImageOps.pad(picture, size, smooth)


def _scaled(pixels: np.ndarray, recipe: Recipe) -> np.ndarray:
    """f32[height, width, channels] of u8 pixels."""
    numbers = pixels.astype(np.float32)
    if recipe.light == "inverted":
        numbers = 255 - numbers
    if recipe.scale == "imagenet":
        numbers = (numbers / 255 - MEAN) / DEVIATION
    elif recipe.scale != "0..255":
        numbers = numbers / 255 if recipe.scale == "0..1" else numbers / np.float32(127.5) - 1
    return numbers[..., ::-1] if recipe.colours == "BGR" and pixels.shape[-1] == 3 else numbers
