"""Times PyTorch on the training step that `ageb bench --only train` times, and prints one line of JSON.

The same ViT (pre-norm, separate query, key and value projections, exact GELU, MLP four times as wide, class token,
learned positions), batch, float32, AdamW without clipping, cross-entropy. Like there: three steps of warm-up, the
median of the steps that follow, and the best square float32 matrix product measured before and after.

    python3 tools/bench-pytorch.py --threads 2 --seconds 20

Works with PyTorch 1.13 and later. tools/bench-against-pytorch.mjs runs both in turn.
"""

import argparse
import json
import resource
import statistics
import sys
import time

try:
    import torch
except ImportError:
    sys.exit("bench-pytorch: this Python has no torch: install it, or use a Python that has it")
from torch import nn
from torch.nn import functional

CLASSES = 10
WARM_UP = 3
LEAST_STEPS = 5


class Attention(nn.Module):
    def __init__(self, width, heads, fused):
        super().__init__()
        self.heads = heads
        self.fused = fused
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))

    def forward(self, x):
        batch, tokens, width = x.shape
        size = width // self.heads
        query, key, value = (
            project(x).view(batch, tokens, self.heads, size).transpose(1, 2)
            for project in (self.query, self.key, self.value)
        )
        if self.fused:
            y = functional.scaled_dot_product_attention(query, key, value)
        else:
            y = torch.softmax((query * size**-0.5) @ key.transpose(-2, -1), dim=-1) @ value
        return self.out(y.transpose(1, 2).reshape(batch, tokens, width))


class Block(nn.Module):
    def __init__(self, width, heads, fused):
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = Attention(width, heads, fused)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class ViT(nn.Module):
    def __init__(self, width, depth, heads, patch, image, fused):
        super().__init__()
        self.embed = nn.Conv2d(3, width, kernel_size=patch, stride=patch)
        self.cls = nn.Parameter(torch.zeros(1, 1, width))
        self.positions = nn.Parameter(0.02 * torch.randn(1, (image // patch) ** 2 + 1, width))
        self.blocks = nn.Sequential(*(Block(width, heads, fused) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, CLASSES)

    def forward(self, pixels):
        patches = self.embed((pixels - 0.5) / 0.5).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(len(pixels), -1, -1), patches], dim=1) + self.positions
        return self.head(self.norm(self.blocks(x)[:, 0]))


def matrix_throughput(side, runs=7):
    """GFLOP/s of a square float32 product: the median of several runs after a warm-up."""
    a, b = torch.rand(side, side), torch.rand(side, side)
    out = torch.empty(side, side)
    times = []
    for i in range(runs + 2):
        start = time.perf_counter()
        torch.mm(a, b, out=out)
        if i >= 2:
            times.append(time.perf_counter() - start)
    return 2 * side**3 / statistics.median(times) / 1e9


def best_matrix_throughput():
    return max(matrix_throughput(side) for side in (1024, 1536, 2048))


def peak_rss_mib():
    try:
        # In what getrusage() says, a process inherits the peak of the one that started it; not here.
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")) / 1024
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / 2**20 if sys.platform == "darwin" else peak / 1024


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    defaults = dict(width=192, depth=12, heads=3, patch=4, image=32, batch=64, threads=None, seconds=20)
    for name, default in defaults.items():
        parser.add_argument(f"--{name}", type=int, default=default, help=f"default {default or 'all cores'}")
    fused = hasattr(functional, "scaled_dot_product_attention")
    parser.add_argument(
        "--attention",
        choices=["fused", "plain"],
        default="fused" if fused else "plain",
        help="scaled_dot_product_attention (default, from PyTorch 2 on), or two products and a softmax",
    )
    parser.add_argument("--compile", action="store_true", help="torch.compile the model (PyTorch 2)")
    args = parser.parse_args()
    if args.attention == "fused" and not fused:
        parser.error(f"PyTorch {torch.__version__} has no scaled_dot_product_attention")
    if args.compile and not hasattr(torch, "compile"):
        parser.error(f"PyTorch {torch.__version__} has no torch.compile")
    return args


def main():
    args = parse()
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.manual_seed(1)
    before = best_matrix_throughput()

    fused = args.attention == "fused"
    model = ViT(args.width, args.depth, args.heads, args.patch, args.image, fused)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.05)
    run = torch.compile(model) if args.compile else model
    images = torch.randint(0, 256, (args.batch, 3, args.image, args.image), dtype=torch.uint8)
    labels = torch.arange(args.batch) % CLASSES

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss = functional.cross_entropy(run(images.float() / 255), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    for _ in range(WARM_UP):
        step()
    times = []
    while len(times) < LEAST_STEPS or sum(times) < args.seconds:
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    peak = peak_rss_mib()
    after = best_matrix_throughput()

    median = statistics.median(times)
    low, _, high = statistics.quantiles(times, n=4)
    result = {
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "attention": args.attention,
        "compile": args.compile,
        "parameters": sum(p.numel() for p in model.parameters()),
        "imagesPerSecond": args.batch / median,
        "stepMs": 1000 * median,
        "stepMsQuartiles": [1000 * low, 1000 * high],
        "steps": len(times),
        "peakRssMiB": peak,
        "gemmGflops": max(before, after),
        "gemmGflopsBefore": before,
        "gemmGflopsAfter": after,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
