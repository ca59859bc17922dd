"""The training command: what it prints and writes, and how it ends."""

import json
from pathlib import Path

import pytest
import torch

from fkp_utils import train
from fkp_utils.datasets import IBugFaces
from fkp_utils.nets.weights import load_weights
from fkp_utils.profiles import FULL, recipe

pytestmark = pytest.mark.training


def _last_line(text):
    return json.loads(next(line for line in text.splitlines() if line.startswith("{")))


@pytest.mark.parametrize("name, measures", [("nose", {"mse", "pixels"}), ("face_improved", {"mse", "pixels", "nme"}),
                                            ("pyramid", {"nme", "mae"})])
def test_trains_scores_and_writes_weights(name, measures, embedded, tmp_path, capsys):
    file = tmp_path / "net.safetensors"
    arguments = [name, "--profile", "smoke", "--data", str(embedded), "--out", str(file), "--checkpoints", str(tmp_path)]
    assert train.main(arguments) == 0
    told = "".join(capsys.readouterr())
    line = _last_line(told)
    assert measures <= set(line) and set(line["mean_shape"]) == measures and line["epochs"] == 2
    assert len(line["regions"]) == {"nose": 0, "face_improved": 5, "pyramid": 5}[name]
    assert load_weights(file).recipe == recipe("smoke", name) and "SHA-256" in told
    number = f"{line['pixels']:.1f} px of 640x480" if "pixels" in measures else f"MAE {line['mae']:.2f} px"
    end = told.splitlines()[-1]
    assert end.startswith(f"{recipe('smoke', name).title}: ") and number in end and f"number {line['best_epoch']}." in end


def test_a_training_ends_in_a_sentence_with_the_numbers():
    found, mean = {"mse": 0.1, "pixels": 28.44}, {"mse": 0.2, "pixels": 47.36}
    said = train.told("Part 1", {"epochs": 25, "minutes": 2.0}, 24, found, mean)
    assert said == ("Part 1: 28.4 px of 640x480 on the validation faces, the mean shape 47.4 px of 640x480; "
                    "25 epochs in 2 minutes, the best was number 24.")
    said = train.told("Part 3", {"epochs": 1, "minutes": 0.1}, 1, {"nme": 4.79, "mae": 3.92}, {"nme": 24.36, "mae": 10.39})
    assert "NME 4.79 %, MAE 3.92 px on" in said and "mean shape NME 24.36 %, MAE 10.39 px;" in said


def test_recipes_are_described(capsys):
    with pytest.raises(SystemExit) as ended:
        train.main(["--list"])
    lines = capsys.readouterr().out.splitlines()
    assert ended.value.code == 0 and [line.split()[0] for line in lines] == list(FULL)
    assert "nose            Part 1, write-up: NoseNet, pictures of 60x80, 25 epochs of imm_nose" in lines


def test_a_training_whose_weights_are_not_kept_says_how_to_keep_them(embedded, tmp_path, capsys):
    arguments = ["nose", "--profile", "smoke", "--data", str(embedded), "--epochs", "1", "--checkpoints", str(tmp_path)]
    assert train.main(arguments) == 0
    assert "--out FILE.safetensors" in capsys.readouterr().err


def test_goes_on_for_as_many_epochs_as_asked(embedded, tmp_path, capsys):
    arguments = ["nose", "--profile", "smoke", "--data", str(embedded), "--epochs", "3", "--checkpoints", str(tmp_path)]
    assert train.main(arguments) == 0
    assert _last_line(capsys.readouterr().out)["epochs"] == 3


def test_another_seed_is_another_training(embedded, tmp_path, capsys):
    arguments = ["nose", "--profile", "smoke", "--data", str(embedded), "--epochs", "1", "--checkpoints", str(tmp_path)]
    said = []
    for more in ([], ["--seed", "0"], ["--seed", "1", "--record", str(tmp_path / "table.json")]):
        assert train.main([*arguments, *more]) == 0
        said.append(_last_line(capsys.readouterr().out)["mse"])
    assert said[0] == said[1] != said[2]
    assert json.loads((tmp_path / "table.json").read_text())["rows"][1]["command"].endswith("--epochs 1 --seed 1")


def test_faces_are_as_the_recipe_wants_them(embedded):
    for name in ("resnet", "resnet_improved"):
        faces, _ = train.faces_for(recipe("quick", name), embedded)
        assert isinstance(faces, IBugFaces) and faces.crop == recipe("quick", name).crop
    assert train.faces_for(recipe("quick", "nose"), embedded)[0].landmarks.shape == (192, 1, 2)


def test_missing_data_is_one_line(tmp_path, capsys):
    assert train.main(["nose", "--profile", "smoke", "--data", str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith("train: ")


@pytest.mark.parametrize("option", [
    ["--epochs", "0"], ["--epochs", "-1"], ["--epochs", "1e9"], ["--epochs", "99999999999"], ["--batch", "0"],
    ["--batch", "-4"], ["--batch", "1.5"], ["--seed", "-1"], ["--seed", str(2**64)], ["--out", "net.txt"], ["--out", "{}"],
    ["--out", "{}/f/n.safetensors"], ["--record", "{}"], ["--record", "{}/f/part1.json"]])
def test_wrong_numbers_and_files_are_refused_before_anything_is_trained(tmp_path, monkeypatch, capsys, option):
    (tmp_path / "f").write_text("a file")
    monkeypatch.setattr(train, "_train", lambda *arguments: pytest.fail("trained"))
    with pytest.raises(SystemExit) as ended:
        train.main(["nose", "--profile", "smoke", *(text.format(tmp_path) for text in option)])
    assert ended.value.code == 2 and f"argument {option[0]}: " in capsys.readouterr().err


@pytest.mark.parametrize("content", ["{", "[]", '"text"', '{"rows": [1]}', "{}"])
def test_a_table_that_is_none_is_said_before_hours_of_training_and_stays(embedded, tmp_path, monkeypatch, capsys, content):
    (table := tmp_path / "part1.json").write_text(content)
    monkeypatch.setattr(train, "fit", lambda *arguments: pytest.fail("trained"))
    assert train.main(["nose", "--profile", "smoke", "--data", str(embedded), "--record", str(table)]) == 1
    assert capsys.readouterr().err == f"train: {table}: no table of measured numbers\n" and table.read_text() == content


@pytest.mark.parametrize("more, named", [
    (["--start", "{}/none.safetensors"], "none.safetensors: no such weights"), (["--start", "{}"], "no such weights"),
    (["--start", ""], "no such weights"),                     # a variable of the shell that is not set
    (["--data", "{}/nowhere"], "nowhere"), (["--checkpoints", "{}/file"], "file")])
def test_files_that_are_not_there_are_one_line(embedded, tmp_path, capsys, more, named):
    (tmp_path / "file").write_text("mine")
    given = ["nose", "--profile", "smoke", "--data", str(embedded), "--checkpoints", str(tmp_path / "c")]
    assert train.main([*given, *(text.format(tmp_path) for text in more)]) == 1
    told = capsys.readouterr().err
    assert told.startswith("train: ") and named in told and told.count("\n") == 1 + told.count("%|")


def test_weights_are_kept_when_nobody_reads_what_the_training_says(embedded, tmp_path, monkeypatch):
    def closed(*arguments, **options):
        raise BrokenPipeError
    monkeypatch.setattr(train, "print", closed, raising=False)
    monkeypatch.setattr(train.command.os, "dup2", lambda *arguments: None)
    monkeypatch.setattr(train.command.sys.stdout, "fileno", lambda: 1, raising=False)
    file = tmp_path / "net.safetensors"
    assert train.main(["nose", "--profile", "smoke", "--data", str(embedded), "--out", str(file), "--checkpoints",
                       str(tmp_path)]) == 141
    assert load_weights(file).recipe == recipe("smoke", "nose")


def test_a_lost_process_keeps_its_words(monkeypatch, capsys):
    def lost(*arguments):
        raise ConnectionError("lost another process")
    monkeypatch.setattr(train, "_train", lost)
    assert train.main(["nose", "--profile", "smoke"]) == 1
    assert capsys.readouterr().err == "train: lost another process; the same command goes on after the last whole epoch\n"


def test_a_table_that_goes_away_while_it_is_read_is_begun_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "exists", lambda path: True)               # it was there a moment ago
    train.record(tmp_path / "part5.json", "full", [{"net": "größe", "nme": 3.0}])
    assert json.loads((tmp_path / "part5.json").read_text(encoding="utf-8")) == {
        "profile": "full", "data": "real photos", "rows": [{"net": "größe", "nme": 3.0}]}


def test_an_interrupted_training_says_how_to_go_on(embedded, monkeypatch, capsys):
    def interrupt(*arguments):
        raise KeyboardInterrupt
    monkeypatch.setattr(train, "fit", interrupt)
    assert train.main(["nose", "--profile", "smoke", "--data", str(embedded)]) == 130
    assert "goes on after the last whole epoch" in capsys.readouterr().err


def test_records_replace_the_same_nets_row(embedded, tmp_path):
    table = tmp_path / "part5.json"
    arguments = ["pyramid", "--profile", "smoke", "--data", str(embedded), "--checkpoints", str(tmp_path),
                 "--record", str(table)]
    assert train.main(arguments) == 0 and train.main([*arguments, "--epochs", "1"]) == 0
    rows = json.loads(table.read_text())["rows"]
    assert [row["net"] for row in rows] == ["Mean shape in the box", "Part 5, both joined"]
    assert rows[1]["epochs"] == 1 and rows[1]["command"].endswith("pyramid --data DATA --profile smoke --epochs 1")


def test_starts_from_given_weights(embedded, tmp_path, capsys):
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    arguments = ["--profile", "smoke", "--data", str(embedded), "--checkpoints", str(tmp_path)]
    assert train.main(["nose", *arguments, "--out", str(first)]) == 0
    begun = train.started(recipe("smoke", "nose"), first).state_dict()
    assert all(torch.equal(value, begun[name]) for name, value in load_weights(first).model.state_dict().items())
    assert train.main(["nose_improved", *arguments, "--start", str(first), "--out", str(second)]) == 0
    capsys.readouterr()
    assert train.main(["face", *arguments, "--start", str(first)]) == 1
    assert capsys.readouterr().err == f"train: {first}: not the weights of a FaceNet of this size\n"
