"""The operator's environment."""

from __future__ import annotations

import pytest

from jobfleet_operator.settings import Settings, SettingsError


def test_without_quotas_there_are_none() -> None:
    assert not Settings.from_env({}).quotas
    assert Settings.from_env({"JOBFLEET_WORKER_QUOTA": "0"}).quotas


@pytest.mark.parametrize("said", ["shop", "shop=many", "shop=-1"])
def test_a_quota_that_is_none_is_refused_with_a_sentence(said: str) -> None:
    with pytest.raises(SettingsError, match=r"JOBFLEET_NAMESPACE_QUOTAS=.*such as shop=20"):
        Settings.from_env({"JOBFLEET_NAMESPACE_QUOTAS": said})
