from bertx.training.callbacks.trainer_callback import TrainerCallback
from tests.training.tiny import make_model, make_split, make_trainer, records


class Counting(TrainerCallback):
    """Counts steps, also across an interruption."""

    def __init__(self):
        self.steps = 0

    def on_step(self, context, step):
        self.steps += 1

    def state_dict(self):
        return {"steps": self.steps}

    def load_state_dict(self, state):
        self.steps = state["steps"]


def trained(tmp_path, callback):
    split = make_split(tmp_path, records(10))
    make_trainer(make_model(), split, {}, callbacks=[callback]).train()
    return callback


def test_a_callback_may_listen_to_one_event_only(tmp_path):
    assert trained(tmp_path, Counting()).steps == 3


def test_state_goes_from_one_callback_to_the_next(tmp_path):
    resumed = Counting()
    resumed.load_state_dict(trained(tmp_path, Counting()).state_dict())
    assert trained(tmp_path, resumed).steps == 6


def test_a_callback_without_state_has_an_empty_one():
    assert TrainerCallback().state_dict() == {}


def test_callbacks_see_model_folder_and_number_of_steps(tmp_path):
    contexts = []

    class Looking(TrainerCallback):
        def on_start(self, context):
            contexts.append(context)

    model = make_model()
    split = make_split(tmp_path, records(10))
    make_trainer(model, split, {"num_epochs": 2}, folder=tmp_path, callbacks=[Looking()]).train()
    (context,) = contexts
    assert (context.model, context.folder, context.num_steps) == (model, tmp_path, 6)
