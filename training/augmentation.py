# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Augmentation of the paper's recipe, batched in torch on the batch's own device."""

import math
from dataclasses import dataclass, field

import torch
from torch import nn

CORNERS = ((-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0))  # In the sampling grid's units, clockwise.
SCOPES = ("line", "batch")


@dataclass(frozen=True)
class LineAugmentation:
    """
    Random changes of line images: projective, erosion or dilation, brightness and contrast (paper's recipe), and, as
    options, what makes other hands and other lines of them: width, slant, rise, size, elastic distortion, hidden
    strips. Calling it gives the same images for the same generator on every device. Parts with a `help` are options of
    training, `--augment_NAME`.

    Args:
        probability: Of each change but `stretch`, which is always drawn.
        corner_shift: Pixels that the corners move by at most, along one axis drawn at random.
        kernel_size: Largest side of the kernel of erosion and dilation, in pixels.
        jitter: Brightness and contrast are multiplied by 1 - jitter to 1 + jitter.
        slant: Largest slant, in pixels to the side for each pixel up; 0 leaves it out.
        elastic: Largest displacement in pixels of the elastic distortion; 0 leaves it out.
        elastic_spacing: Pixels between the points that the elastic distortion moves independently.
        stretch: The width is multiplied with up to 1 + stretch or divided by it, drawn for every batch as its lines
            share a width, in steps of `width_step` pixels; 0 leaves it out.
        width_step: Pixels that stretched widths are multiples of; large for few widths, where the network is compiled
            for each.
        rise: Largest height in which a line ends above or below its beginning, in heights of the line, which gets the
            smaller for it as its box gets higher; 0 leaves it out.
        shrink: Largest share of the height that a line loses, put anywhere between top and bottom; 0 leaves it out.
        mask: Share of a line's width that is hidden under white strips, which may overlap; 0 leaves it out.
        mask_width: Largest width of such a strip in pixels.
        scope: `"batch"` draws once for a batch, as the recipe does, `"line"` for each line.
    """

    probability: float = field(default=0.5, metadata={"help": "Of each of the recipe's changes."})
    corner_shift: float = field(default=8.0, metadata={"help": "Projective: pixels a corner moves by."})
    kernel_size: int = field(default=2, metadata={"help": "Erosion, dilation: largest kernel side, pixels."})
    jitter: float = field(default=0.4, metadata={"help": "Brightness, contrast: largest relative change."})
    slant: float = field(default=0.0, metadata={"help": "Largest slant, pixels sideways per pixel; 0 for none."})
    elastic: float = field(default=0.0, metadata={"help": "Largest elastic displacement, pixels; 0 for none."})
    elastic_spacing: int = 16
    stretch: float = field(
        default=0.0, metadata={"help": "Largest relative change of a batch's width, up or down; 0 for none."}
    )
    width_step: int = 16
    rise: float = field(
        default=0.0, metadata={"help": "Largest rise or fall between a line's ends, in its heights; 0 for none."}
    )
    shrink: float = field(default=0.0, metadata={"help": "Largest share of its height that a line loses; 0 for none."})
    mask: float = field(default=0.0, metadata={"help": "Share of a line hidden under strips; 0 for none."})
    mask_width: int = 32
    scope: str = field(
        default="line",
        metadata={"help": "Draw changes for each line, or once for a batch as the recipe.", "choices": SCOPES},
    )

    def __post_init__(self):
        if not 0 <= self.probability <= 1:
            raise ValueError(f"The probability of a change must be in 0 to 1. Got {self.probability}.")
        if not 0 <= self.jitter < 1:
            raise ValueError(f"jitter must be in [0, 1). Got {self.jitter}.")
        if not 0 <= self.shrink < 1 or not 0 <= self.mask < 1:
            raise ValueError(f"shrink and mask must be in [0, 1). Got {self.shrink} and {self.mask}.")
        if self.stretch < 0 or self.rise < 0:
            raise ValueError(f"stretch and rise must not be negative. Got {self.stretch} and {self.rise}.")
        sizes = (self.kernel_size, self.elastic_spacing, self.width_step, self.mask_width)
        if min(sizes) < 1:
            raise ValueError(
                f"kernel_size, elastic_spacing, width_step and mask_width must be at least 1. Got {sizes}."
            )
        if self.scope not in SCOPES:
            raise ValueError(f"scope must be one of {', '.join(SCOPES)}. Got {self.scope!r}.")

    def __call__(self, pixel_values: torch.Tensor, generator: torch.Generator, least_width: int = 1) -> torch.Tensor:
        """
        Args:
            pixel_values: Lines of shape `(batch_size, 1, height, width)`, 0 ink to 1 paper.
            generator: Source of randomness, on the CPU whatever the lines' device.
            least_width: Pixels below which no stretching goes: what the longest transcription needs.

        Returns:
            Changed lines of the same shape, but for the width if they are stretched.
        """
        dice = Dice(pixel_values, generator, self.scope)
        if self.stretch:
            pixel_values = self.stretch_width(pixel_values, dice, least_width)
        pixel_values = self.warp(pixel_values, dice)
        pixel_values = self.erode_or_dilate(pixel_values, dice)
        pixel_values = self.jitter_colors(pixel_values, dice)
        return self.hide_strips(pixel_values, dice) if self.mask else pixel_values

    def stretch_width(self, pixel_values: torch.Tensor, dice: "Dice", least_width: int) -> torch.Tensor:
        """All lines to one of the widths that are `1 + stretch` times wider or narrower at most."""
        height, width = pixel_values.shape[-2:]
        narrowest = math.ceil(max(width / (1 + self.stretch), least_width) / self.width_step)
        widest = math.floor(width * (1 + self.stretch) / self.width_step)
        if narrowest > widest:
            return pixel_values  # So narrow, or so full of characters, that no step lies within the bounds.
        stretched = self.width_step * dice.integer_of_batch(narrowest, widest)
        return nn.functional.interpolate(pixel_values, (height, stretched), mode="bilinear", antialias=True)

    def warp(self, pixel_values: torch.Tensor, dice: "Dice") -> torch.Tensor:
        """Projective transform, slant, rise, size and elastic distortion in one resampling, filled with white."""
        size = pixel_values.new_tensor([pixel_values.shape[-1], pixel_values.shape[-2]]) / 2
        projective, shift = self.shift_corners(size, dice)
        slanted = dice.chance(self.probability if self.slant else 0.0)
        slant = dice.uniform(-self.slant, self.slant, 1) * slanted[:, None]
        distorted = dice.chance(self.probability if self.elastic else 0.0)
        placed = dice.chance(self.probability if self.rise or self.shrink else 0.0)
        moved = (projective | slanted | distorted | placed).nonzero()[:, 0]
        if len(moved) == 0:
            return pixel_values

        lines = pixel_values[moved]
        corners = pixel_values.new_tensor(CORNERS)
        sources = corners + shift
        sources[..., 0] -= slant * corners[:, 1] * size[1] / size[0]
        if self.rise or self.shrink:
            sources[..., 1] = torch.where(placed[:, None], self.place(sources, dice), sources[..., 1])
        grid = projective_grid(sources[moved], lines.shape)
        if self.elastic:
            displacement = self.displacements(pixel_values, dice) / size
            grid = grid + displacement[moved] * distorted[moved][:, None, None, None]
        # The border is white, which is 0 in the image of the ink.
        warped = 1 - nn.functional.grid_sample(1 - lines, grid.to(lines.dtype), align_corners=False)
        return pixel_values.index_copy(0, moved, warped)

    def shift_corners(self, size: torch.Tensor, dice: "Dice") -> tuple[torch.Tensor, torch.Tensor]:
        """
        Whether each line's corners move, of shape `(batch_size,)`, and by how much, `(batch_size, 4, 2)`, in the units
        of the sampling grid: shares of `size`, half the lines' width and height.
        """
        moves = dice.chance(self.probability)
        along_x = dice.chance(0.5)
        axis = torch.stack([along_x, ~along_x], dim=-1).to(size.dtype)[:, None]
        shift = dice.uniform(-self.corner_shift, self.corner_shift, 4, 1) * axis / size
        return moves, shift * moves[:, None, None]

    def place(self, sources: torch.Tensor, dice: "Dice") -> torch.Tensor:
        """Heights that a small, rising line is read from at its corners, `(batch_size, 4)`; it stays inside."""
        rise = dice.uniform(-self.rise, self.rise, 1)
        height = (1 - dice.uniform(0, self.shrink, 1)) / (1 + rise.abs())
        rise = rise / (1 + rise.abs())  # Of the image's height now, no longer of the line's.
        offset = dice.uniform(-1, 1, 1) * (1 - height - rise.abs())
        return (sources[..., 1] + rise * sources[..., 0] + offset) / height

    def displacements(self, pixel_values: torch.Tensor, dice: "Dice") -> torch.Tensor:
        """A smooth random field of shape `(batch_size, height, width, 2)`, in pixels."""
        height, width = pixel_values.shape[-2:]
        rows, columns = (-(-side // self.elastic_spacing) + 1 for side in (height, width))
        field = dice.uniform(-self.elastic, self.elastic, 2, rows, columns)
        field = nn.functional.interpolate(field, size=(height, width), mode="bicubic", align_corners=True)
        return field.permute(0, 2, 3, 1)

    def erode_or_dilate(self, pixel_values: torch.Tensor, dice: "Dice") -> torch.Tensor:
        """The smallest or the largest value under a kernel of 1 to `kernel_size` pixels on either side."""
        changed = dice.chance(self.probability)
        sign = dice.chance(0.5).to(pixel_values.dtype).mul(2).sub(1)[:, None, None, None]
        rows = dice.integers(1, self.kernel_size) * changed
        columns = dice.integers(1, self.kernel_size) * changed
        pixel_values = pixel_values * sign
        for dim, sizes in ((2, rows), (3, columns)):
            pixel_values = running_maximum(pixel_values, sizes, dim)
        return pixel_values * sign

    def jitter_colors(self, pixel_values: torch.Tensor, dice: "Dice") -> torch.Tensor:
        """Brightness times a random factor, then contrast around the line's mean grey."""
        changed = dice.chance(self.probability)[:, None, None, None]
        brightness = dice.uniform(1 - self.jitter, 1 + self.jitter, 1, 1, 1).where(changed, 1.0)
        contrast = dice.uniform(1 - self.jitter, 1 + self.jitter, 1, 1, 1).where(changed, 1.0)
        pixel_values = (pixel_values * brightness).clamp(0, 1)
        mean = pixel_values.mean(dim=(1, 2, 3), keepdim=True)
        return torch.lerp(mean, pixel_values, contrast).clamp(0, 1)

    def hide_strips(self, pixel_values: torch.Tensor, dice: "Dice") -> torch.Tensor:
        """White strips: what stood there has to be told from its neighbours (as in SpecAugment, arXiv 1904.08779)."""
        width = pixel_values.shape[-1]
        strips = round(2 * self.mask * width / self.mask_width)  # They are half of the largest width on average.
        hidden = dice.chance(self.probability)
        starts = dice.uniform(-self.mask_width / 2, width, strips, 1)
        ends = starts + dice.uniform(0, self.mask_width, strips, 1)
        columns = torch.arange(width, device=pixel_values.device)
        inside = ((starts <= columns) & (columns < ends)).any(1)  # (batch_size, width)
        return pixel_values.masked_fill((inside & hidden[:, None])[:, None, None], 1.0)


class Dice:
    """
    Draws for the lines of a batch, on the CPU, so that they do not depend on the device.

    Args:
        pixel_values: The batch.
        generator: Source of randomness.
        scope: `"batch"` gives every line the same draw.
    """

    def __init__(self, pixel_values: torch.Tensor, generator: torch.Generator, scope: str):
        self.lines = pixel_values.shape[0]
        self.draws = 1 if scope == "batch" else self.lines
        self.device = pixel_values.device
        self.generator = generator

    def uniform(self, low: float, high: float, *shape: int) -> torch.Tensor:
        """Numbers from `low` to `high` of shape `(lines, *shape)`."""
        numbers = torch.rand(self.draws, *shape, generator=self.generator) * (high - low) + low
        return numbers.expand(self.lines, *shape).to(self.device)

    def chance(self, probability: float) -> torch.Tensor:
        """True with `probability`, of shape `(lines,)`."""
        return self.uniform(0, 1) < probability

    def integers(self, low: int, high: int) -> torch.Tensor:
        """Whole numbers from `low` to `high`, both included, of shape `(lines,)`."""
        return self.uniform(low, high + 1).long().clamp(max=high)

    def integer_of_batch(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both included, for the whole batch."""
        return int(torch.randint(low, high + 1, (), generator=self.generator))


def projective_grid(sources: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    """
    Sampling grid of the projective transforms that read an image's corners from `sources`.

    Args:
        sources: Four points for each line, of shape `(batch_size, 4, 2)`, in the units of `grid_sample`.
        shape: Of the lines, `(batch_size, channels, height, width)`.

    Returns:
        Grid of shape `(batch_size, height, width, 2)`.
    """
    x, y = sources.new_tensor(CORNERS).unbind(-1)
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    u, v = sources.unbind(-1)
    # Direct linear transform: u * (gx + hy + 1) = ax + by + c and v * (gx + hy + 1) = dx + ey + f at each corner.
    left = torch.stack([x, y, one, zero, zero, zero], -1).expand(len(u), 4, 6)
    right = torch.stack([zero, zero, zero, x, y, one], -1).expand(len(u), 4, 6)
    rows_u = torch.cat([left, torch.stack([-u * x, -u * y], -1)], -1)
    rows_v = torch.cat([right, torch.stack([-v * x, -v * y], -1)], -1)
    solution = torch.linalg.solve(torch.cat([rows_u, rows_v], 1), torch.cat([u, v], 1))
    matrix = torch.cat([solution, torch.ones_like(solution[:, :1])], 1).view(-1, 3, 3)

    identity = torch.eye(3, device=sources.device)[None, :2].expand(len(u), 2, 3)
    grid = nn.functional.affine_grid(identity, list(shape), align_corners=False)
    points = torch.cat([grid, torch.ones_like(grid[..., :1])], -1).flatten(1, 2) @ matrix.transpose(1, 2)
    return (points[..., :2] / points[..., 2:]).view_as(grid)


def running_maximum(pixel_values: torch.Tensor, sizes: torch.Tensor, dim: int) -> torch.Tensor:
    """Maximum over a pixel and the `sizes - 1` before it along `dim`; sizes 0 and 1 change nothing."""
    maximum = pixel_values
    for offset in range(1, int(sizes.max())):
        length = pixel_values.shape[dim] - offset
        shifted = torch.cat([pixel_values.narrow(dim, 0, 1)] * offset + [pixel_values.narrow(dim, 0, length)], dim)
        reached = (sizes > offset)[:, None, None, None]
        maximum = torch.where(reached, torch.maximum(maximum, shifted), maximum)
    return maximum
