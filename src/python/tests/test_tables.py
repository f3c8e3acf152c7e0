"""Tables of other libraries come in and go out."""

import datetime

import pytest

import idiolect
from conftest import SAMPLE

FIELDS = ("user", "item", "text", "rating", "title", "time")


def as_list(rows):
    return rows


def as_generator(rows):
    return (dict(row) for row in rows)


def as_pandas(rows):
    pandas = pytest.importorskip("pandas")
    return pandas.DataFrame(rows)


def as_polars(rows):
    polars = pytest.importorskip("polars")
    return polars.DataFrame(rows)


def as_pyarrow(rows):
    pyarrow = pytest.importorskip("pyarrow")
    return pyarrow.Table.from_pylist(rows)


def as_reader(rows):
    pyarrow = pytest.importorskip("pyarrow")
    return pyarrow.RecordBatchReader.from_batches(
        pyarrow.Table.from_pylist(rows).schema, pyarrow.Table.from_pylist(rows).to_batches(max_chunksize=7)
    )


def as_dataset(rows):
    datasets = pytest.importorskip("datasets")
    return datasets.Dataset.from_list(rows)


def as_own_table(rows):
    return idiolect.Rows(idiolect.Record(row) for row in rows).to_arrow()


TABLES = [as_list, as_generator, as_pandas, as_polars, as_pyarrow, as_reader, as_dataset, as_own_table]


@pytest.fixture(scope="module")
def reviews(rows):
    return [{field: row.get(field) for field in FIELDS} for row in rows]


def everything(engine):
    return {user.user: engine.history(user.user).to_dicts() for user in engine.users()}


@pytest.mark.parametrize("table", TABLES)
def test_every_kind_of_table_is_imported_alike(table, reviews, engine_of, tmp_path):
    of_file = engine_of(tmp_path / "file.sqlite")
    of_file.import_table(SAMPLE / "reviews.jsonl")
    engine = engine_of(tmp_path / "table.sqlite")
    imported = engine.import_table(table(reviews))
    assert imported.new == len(reviews) and imported.bad == [] and imported.defaulted == []
    assert everything(engine) == everything(of_file)
    again = engine.import_table(table(reviews))
    assert (again.new, again.unchanged) == (0, len(reviews))


@pytest.mark.parametrize("table", [as_list, as_pandas, as_polars, as_pyarrow, as_dataset])
def test_times_numbers_and_what_is_missing(table, engine_of, tmp_path):
    noon = datetime.datetime(2014, 7, 6, 12, 30, tzinfo=datetime.timezone.utc)
    rows = [
        {"who": 1, "thing": "x", "body": "It hums.", "stars": 4.5, "when": noon},
        {"who": 2, "thing": "x", "body": "It does not.", "stars": None, "when": None},
    ]
    engine = engine_of(tmp_path / "s.sqlite")
    names = {"user": "who", "item": "thing", "text": "body", "rating": "stars", "time": "when"}
    imported = engine.import_table(table(rows), map=names)
    assert imported.new == 2
    one, two = engine.history("1")[0], engine.history("2")[0]
    assert (one.rating, one.time) == (4.5, int(noon.timestamp()))
    assert (two.rating, two.time) == (None, 0)


def test_categories_and_nested_columns(engine_of, tmp_path):
    pandas = pytest.importorskip("pandas")
    pyarrow = pytest.importorskip("pyarrow")
    rows = [{"user": "ann", "item": "x", "text": "It hums."}, {"user": "bo", "item": "x", "text": "No."}]
    engine = engine_of(tmp_path / "categories.sqlite")
    assert engine.import_table(pandas.DataFrame(rows).astype({"item": "category"})).new == 2
    nested = [{"author": {"name": row["user"]}, "item": row["item"], "text": row["text"]} for row in rows]
    for n, table in enumerate([nested, pyarrow.Table.from_pylist(nested)]):
        engine = engine_of(tmp_path / f"nested{n}.sqlite")
        assert engine.import_table(table, map={"user": "author.name"}).new == 2
        assert [user.user for user in engine.users()] == ["ann", "bo"]


def test_rows_that_cannot_be_read_are_counted(engine_of, tmp_path):
    engine = engine_of(tmp_path / "s.sqlite")
    rows = [{"user": "ann", "item": "x", "text": "It hums."}, {"user": "bo", "item": "x"}, {"user": None, "text": ""}]
    imported = engine.import_table(rows)
    assert (imported.new, imported.malformed) == (1, 2)
    assert [(bad.line, "text" in bad.reason) for bad in imported.bad][0] == (2, True)
    with pytest.raises(idiolect.DataError, match="the table, line 2"):
        engine.import_table(rows, strict=True)
    with pytest.raises(idiolect.DataError, match="no row could be read of the table"):
        engine_of(tmp_path / "t.sqlite").import_table(rows[1:])


def test_what_is_no_table_is_refused(engine_of, tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    engine = engine_of(tmp_path / "s.sqlite")
    with pytest.raises(idiolect.DataError, match="has no column `item` \\(it has `user`, `text`\\)"):
        engine.import_table(pyarrow.table({"user": ["ann"], "text": ["It hums."]}))
    odd = pyarrow.table({"user": ["a"], "item": ["x"], "text": ["t"], "d": [datetime.timedelta(1)]})
    with pytest.raises(idiolect.DataError, match="column `d` of the table has the Arrow type Duration"):
        engine.import_table(odd)
    for wrong in (17, {"user": "ann"}, b"user"):
        with pytest.raises(idiolect.DataError, match="expected a table"):
            engine.import_table(wrong)
    with pytest.raises(idiolect.DataError, match="expected a mapping"):
        engine.import_table(["ann"])

    def broken():
        yield {"user": "ann", "item": "x", "text": "It hums."}
        raise ZeroDivisionError("a fault of the caller")

    with pytest.raises(ZeroDivisionError, match="of the caller"):
        engine.import_table(broken())
    assert not (tmp_path / "s.sqlite").exists() or engine.counts().reviews <= 1


def test_results_become_tables(full_store, engine_of):
    pandas = pytest.importorskip("pandas")
    polars = pytest.importorskip("polars")
    pyarrow = pytest.importorskip("pyarrow")
    users = engine_of(full_store).users(limit=5)
    expected = users.to_dicts()
    table = users.to_arrow()
    assert (table.num_rows, table.column_names) == (5, ["user", "reviews", "first", "last"])
    assert polars.DataFrame(table).to_dicts() == expected
    assert pyarrow.table(table).to_pylist() == expected
    assert pandas.DataFrame.from_arrow(table).to_dict("records") == expected
    assert users.to_pandas().to_dict("records") == expected
    odd = idiolect.Rows(
        idiolect.Record(row) for row in [{"a": None, "b": 1, "c": True, "d": [1]}, {"b": 1.5, "e": "x", "c": None}]
    )
    assert pyarrow.table(odd.to_arrow()).to_pylist() == [
        {"a": None, "b": 1.0, "c": True, "d": "[1]", "e": None},
        {"a": None, "b": 1.5, "c": None, "d": None, "e": "x"},
    ]
    assert pyarrow.table(idiolect.Rows().to_arrow()).num_rows == 0


@pytest.mark.parametrize("table", [as_list, as_pandas, as_polars, as_dataset])
def test_targets_are_tables_too(table, full_store, copied, engine_of):
    engine = engine_of(copied())
    targets = [{"user": engine.users()[0].user, "item": item.item} for item in engine.items()[:2]]
    texts = engine.write_many(table(targets), methods="non-perso", max_tokens=8)
    frame = texts.to_pandas()
    assert list(frame["item"]) == [target["item"] for target in targets]
    assert all(frame["text"].str.len() > 0)


def test_vectors_are_arrays(full_store):
    numpy = pytest.importorskip("numpy")
    embeddings = idiolect.encoder(threads=1, progress=False).embed(["It hums.", "It leaks."])
    vectors = numpy.asarray(embeddings)
    assert vectors.shape == (2, 384) and vectors.dtype == numpy.float32
    assert numpy.array_equal(numpy.asarray(embeddings.data), vectors)
    assert numpy.allclose(numpy.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert numpy.asarray(embeddings, dtype=numpy.float64).dtype == numpy.float64
    assert len(numpy.asarray(idiolect.encoder(threads=1, progress=False).embed([]))) == 0
    assert embeddings.tolist() == vectors.tolist()
