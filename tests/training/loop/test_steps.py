"""What every training shares."""

import torch
from torch import nn

from polyrank.training.loop.steps import Schedule, fit


class Line(nn.Module):
    def __init__(self):
        super().__init__()
        self.line = nn.Linear(1, 1, bias=False)

    def forward(self, x):
        return self.line(x)


def test_a_model_that_was_trained_in_bf16_computes_in_fp32_after(tmp_path):
    model, seen = Line(), []

    def loss(model, batch):
        seen.append(model(batch["x"]).dtype)
        return model(batch["x"]).float().sum()

    def make(step):
        return {"x": torch.ones(1, 1)}

    fit(model, make, loss, Schedule(steps=1, rate=0.1, bf16=True), tmp_path / "w")
    x = torch.tensor([[1.0 + 2**-12]])  # which bf16 rounds to 1
    with torch.no_grad():
        model.line.weight.fill_(1.0)
        assert model(x).item() == x.item()
    assert seen  # and it was trained
    fit(model, make, loss, Schedule(steps=1, rate=0.1, bf16=True), tmp_path / "w")
    assert "_original_forward" not in model.__dict__
