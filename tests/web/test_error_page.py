"""The page that people get in place of another one."""

from tests.web.conftest import Site


async def test_a_refused_form_is_nothing_to_come_back_to(site: Site) -> None:
    await site.user()
    browser = await site.log_in()
    refused = await browser.post("/alerts/01ARZ3NDEKTSV4RRFFQ69G5FAV/resolve", form={})
    assert refused.status_code == 404
    page = await refused.get_data(as_text=True)
    assert '<input type="hidden" name="next" value="/">' in page  # of the form for the time zone, in the bar at the top
