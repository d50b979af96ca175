"""The face where scikit-learn's users put estimators; the plain class too, as far as it goes."""

import copy
import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
from river.compat import convert_river_to_sklearn
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import StandardScaler
from skops import io as skops

import streampca
from streampca.river import PCA as RiverPCA
from streampca.sklearn import IncrementalPCA, StreamingPCA

FACES = [IncrementalPCA, StreamingPCA]
ALL = [*FACES, streampca.StreamingPCA]
IRIS = load_iris(as_frame=True)
X, Y = IRIS.data, IRIS.target


@pytest.mark.parametrize("kind", FACES)
@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_set_output(kind, container):
    frame = kind(2).set_output(transform=container).fit_transform(X)
    name = kind.__name__.lower()
    assert list(frame.columns) == [f"{name}0", f"{name}1"]
    assert type(frame).__module__.startswith(container)


@pytest.mark.parametrize("kind", FACES)
def test_in_a_column_transformer_and_a_union(kind):
    columns = ColumnTransformer([("pca", kind(1), list(X.columns[:2]))], remainder="passthrough")
    both = FeatureUnion([("two", kind(2)), ("columns", columns)]).set_output(transform="pandas")
    assert both.fit_transform(X).shape == (150, 5)


@pytest.mark.parametrize("kind", ALL)
def test_grid_search(kind):
    pipeline = make_pipeline(StandardScaler(), kind(), LogisticRegression())
    step = pipeline.steps[1][0]
    search = GridSearchCV(pipeline, {f"{step}__n_components": [1, 2, 3]}, cv=3).fit(X, Y)
    assert search.best_score_ > 0.9


def test_weights_are_routed():
    weights = np.where(np.arange(150) < 100, 1.0, 0.0)
    with sklearn.config_context(enable_metadata_routing=True):
        pca = StreamingPCA(2).set_fit_request(sample_weight=True)
        classify = LogisticRegression().set_fit_request(sample_weight=False)
        model = make_pipeline(pca, classify).fit(X, Y, sample_weight=weights)
    known = StreamingPCA(2).fit(X[:100])
    assert np.allclose(model[0].explained_variance_, known.explained_variance_)


@pytest.mark.parametrize("kind", FACES)
def test_names_of_features_are_checked(kind):
    pca = kind(2).fit(X)
    with pytest.raises(ValueError, match="feature names should match those"):
        pca.transform(X.iloc[:, ::-1])
    with pytest.raises(ValueError, match="X has 3 features, but"):
        kind(2).fit(X.to_numpy()).transform(X.to_numpy()[:, :3])
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        pca.transform(X.to_numpy())


@pytest.mark.parametrize("kind", ALL)
def test_names_asked_for_are_checked(kind):
    pca = kind(2).fit(X)
    name = kind.__name__.lower()
    assert list(pca.get_feature_names_out(list(X.columns))) == [f"{name}0", f"{name}1"]
    with pytest.raises(ValueError, match="input_features is not equal to feature_names_in_"):
        pca.get_feature_names_out(["a", "b", "c", "d"])
    with pytest.raises(ValueError, match="length equal to number of features"):
        kind(2).fit(X.to_numpy()).get_feature_names_out(["a"])


@pytest.mark.parametrize("kind", ALL)
def test_copies_go_on_alike(kind, tmp_path):
    pca = kind(2).fit(X[:90].to_numpy())
    before = pca.transform(X.to_numpy())  # fills the caches
    _ = pca.components_, pca.explained_variance_
    copies = [copy.deepcopy(pca), pickle.loads(pickle.dumps(pca)), copy.copy(pca)]
    joblib.dump(pca, tmp_path / "pca.joblib")
    copies.append(joblib.load(tmp_path / "pca.joblib"))
    data = skops.dumps(pca)
    copies.append(skops.loads(data, trusted=skops.get_untrusted_types(data=data)))
    pca.partial_fit(X[90:].to_numpy())
    for each in copies:
        assert np.array_equal(each.transform(X.to_numpy()), before)
        each.partial_fit(X[90:].to_numpy())
        assert np.array_equal(each.components_, pca.components_)


@pytest.mark.parametrize("kind", ALL)
def test_caches_do_not_travel(kind):
    pca = kind(2).fit(X.to_numpy())
    size = len(pickle.dumps(pca))
    pca.transform(X.to_numpy())
    pca.transform(X.to_numpy().astype("float32"))
    pca.inverse_transform(np.zeros((1, 2)))
    solved = len(pickle.dumps(pca))
    assert solved - size < 2500  # the model of 2 x 4, without components in two precisions


@pytest.mark.parametrize("kind", ALL)
def test_a_subclass_has_an_init_of_its_own(kind):
    class Fewer(kind):
        def __init__(self, k=3):
            super().__init__(n_components=k)
            self.k = k

    class Passes(kind):
        def __init__(self, n_components=2, **kwargs):
            super().__init__(n_components=n_components, **kwargs)

    for make in (lambda: Fewer(2), Passes):
        pca = make()
        for start in range(0, 150, 50):
            pca.partial_fit(X[start : start + 50])
        known = kind(2).fit(X)
        assert np.allclose(pca.explained_variance_, known.explained_variance_)
        assert clone(pca).fit(X).n_components_ == 2
        assert pca.fit(X).fit(X).n_samples_seen_ == 150
    assert Fewer(2).get_params() == {"k": 2}
    if kind is not IncrementalPCA:
        again = Fewer.from_checkpoint(Fewer(2).fit(X).checkpoint())
        assert type(again) is Fewer
        assert again.partial_fit(X).n_samples_seen_ == 300


@pytest.mark.parametrize("kind", [StreamingPCA, streampca.StreamingPCA])
def test_parameters_that_change_between_calls(kind):
    rows = np.random.default_rng(0).normal(size=(400, 6)) * [6, 5, 4, 3, 2, 1]
    pca = kind(2).fit(rows[:200])
    pca.set_params(n_components=4, whiten=True, batch_size=7, missing="impute")
    pca.partial_fit(rows[200:])
    known = kind(4, whiten=True).fit(rows)
    assert np.allclose(pca.explained_variance_, known.explained_variance_)
    assert np.allclose(np.abs(pca.transform(rows)), np.abs(known.transform(rows)))
    pca.set_params(half_life=1.0).partial_fit(rows)
    assert pca.weight_ < 2.1
    before = pca.explained_variance_
    for changed in ({"memory": "factored"}, {"center": False}, {"dtype": "float32"}):
        other = copy.deepcopy(pca).set_params(**changed)
        with pytest.raises(ValueError, match=f"{next(iter(changed))} has changed from"):
            other.partial_fit(rows)
        assert np.array_equal(other.explained_variance_, before)
    small = kind(2, memory="factored", oversample=0).fit(rows)
    with pytest.raises(ValueError, match="n_components cannot change from 2 to 3"):
        small.set_params(n_components=3).partial_fit(rows)


def test_the_number_of_components_of_the_incremental_one_stays():
    pca = IncrementalPCA(2).fit(X)
    with pytest.raises(ValueError, match="n_components has changed from 2 to 3"):
        pca.set_params(n_components=3).partial_fit(X)


@pytest.mark.parametrize("kind", FACES)
def test_html_names_the_class_and_links_to_its_documentation(kind, monkeypatch):
    assert kind.__name__ in kind()._repr_html_()
    assert kind()._get_doc_link() == ""  # none is published
    entries = ["Documentation, https://docs.example/streampca/"]
    metadata = type("Metadata", (), {"get_all": lambda self, name: entries})
    monkeypatch.setattr("importlib.metadata.metadata", lambda name: metadata())
    link = f"https://docs.example/streampca/api/sklearn/#streampca.sklearn.{kind.__name__}"
    assert kind()._get_doc_link() == link
    assert link in kind()._repr_html_()


def test_river_takes_its_own_face_to_scikit_learn():
    wrapped = convert_river_to_sklearn(RiverPCA(n_components=2))
    assert wrapped.fit(X.to_numpy(), Y).transform(X.to_numpy()).shape == (150, 2)


def test_checkpoints_of_the_face():
    pca = StreamingPCA(2).fit(X)
    again = StreamingPCA.from_checkpoint(pca.checkpoint())
    assert np.array_equal(again.transform(X), pca.transform(X))
    assert list(again.feature_names_in_) == list(X.columns)
    assert again.merge(pca).n_samples_seen_ == 300
    assert isinstance(again.set_output(transform="pandas").transform(X), pd.DataFrame)


@pytest.mark.parametrize("count", [-1, 0, 2.5, np.inf, "mle", "parallel", True, [1]])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_what_is_no_number_of_components_is_named(count, method):
    X = np.random.default_rng(0).normal(size=(30, 5))
    with pytest.raises(ValueError, match="n_components=.* is not accepted: give a number from 1"):
        getattr(IncrementalPCA(count), method)(X)
