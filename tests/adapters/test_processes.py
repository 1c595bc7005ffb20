"""What the processes of a run share on a CPU."""

import pytest
import torch

from calib_adapters.training.processes import unnumbered


def test_a_model_that_lies_on_the_cpu_is_not_copied_there():
    weight = torch.ones(3)
    assert weight.to(torch.device("cpu", 0)).data_ptr() != weight.data_ptr()  # why it matters
    assert weight.to(unnumbered(torch.device("cpu", 0))).data_ptr() == weight.data_ptr()


@pytest.mark.parametrize("device", ["cuda:1", "mps:0", "cpu"])
def test_other_devices_keep_their_number(device):
    assert unnumbered(torch.device(device)) == torch.device(device)
