"""The reference model on recordings it was not trained on."""

from pathlib import Path

import pytest

from headrace import bundles
from headrace.project import Project

ROOT = Path(__file__).parents[2]
AUC_FLOORS = {
    "binance-coinm:BTCUSD_PERP": 0.79,
    "binance-spot:BTCUSDT": 0.83,
    "binance-spot:ETHUSDT": 0.763,  # short of the 0.79 aimed at; the card says why
}


def test_the_bundle_scores_as_its_card_says(shared_data: Path) -> None:
    report = bundles.evaluate(
        Project(ROOT), "direction", ROOT / "models" / "direction", shared_data / "binance"
    )

    found = {score.instrument: score.auc for score in report.scores}
    assert set(found) == set(AUC_FLOORS)
    assert all(found[name] >= floor for name, floor in AUC_FLOORS.items()), found
    assert all(score.auc > score.auc_imbalance for score in report.scores), report.scores
    assert all(score.log_loss < score.log_loss_base for score in report.scores)
    assert sum(bin_.examples for bin_ in report.calibration) == sum(
        score.examples for score in report.scores
    )


@pytest.mark.parametrize("name", ["direction", "direction_imbalance"])
def test_training_is_the_same_each_time(
    shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr("models.direction.train.DIRECTION_ROUNDS", 5)
    monkeypatch.setattr("models.direction.train.MOVEMENT_ROUNDS", 5)
    data = shared_data / "binance" / "cm_btcusd_perp_20240808.gz"

    for run in ("first", "second"):
        bundles.train(Project(ROOT), name, data, tmp_path / run)

    for file in ("model.onnx", "contract.json"):
        assert (tmp_path / "first" / file).read_bytes() == (tmp_path / "second" / file).read_bytes()


def test_a_comparison_says_of_each_model_what_its_evaluation_says(shared_data: Path) -> None:
    """Beside each other over the graph, or alone over its features: the same vectors and scores."""
    project, data = Project(ROOT), shared_data / "binance" / "cm_btcusd_perp_20240809.gz"

    compared = bundles.compare(project, "direction", bundles.recorded(project, data)).scores

    assert [score.model for score in compared] == ["direction.v1", "direction_imbalance.v1"]
    for found, name in zip(compared, ("direction", "direction_imbalance"), strict=True):
        (alone,) = bundles.evaluate(project, name, ROOT / "models" / name, data).scores
        assert (found.compared, found.auc) == (alone.examples, alone.auc)
        assert found.log_loss == pytest.approx(alone.log_loss, rel=1e-12)
    champion, challenger = compared
    assert (champion.decided, challenger.decided) == (champion.said, 0)
    assert champion.agreement == 1.0
    assert 0.5 < challenger.agreement < 1.0
