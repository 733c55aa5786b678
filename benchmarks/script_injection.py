"""Every text that might run, in every field that people type into, on every page, in a real browser (H7).

Fails when anything ran or the content policy had to stop something.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from support.browser import running_browser
from support.cast import Client
from support.markup import TEXTS, served, watched
from support.practice import TUESDAY_MORNING, build_practice
from support.templates import make_template
from web.test_script_injection import look_round, pages_of, type_everywhere

from telepsych.app import create_app
from telepsych.core.clock import FrozenClock
from telepsych.web import assets


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="every tenth text")
    texts = TEXTS[:: 10 if parser.parse_args().quick else 1]
    assets.build()
    found: list[str] = []
    pages = 0
    with tempfile.TemporaryDirectory() as folder, running_browser() as browser:
        template = make_template(Path(folder) / "template", None, True)
        for number, text in enumerate(texts):
            place = Path(folder) / str(number)
            place.mkdir()
            practice = build_practice(place, *template.copy_to(place), FrozenClock(TUESDAY_MORNING))
            assert template.people is not None
            cast, app = template.people.at(practice), create_app(practice=practice)
            conversation = type_everywhere(cast, Client(app, practice, cast.patient), text)
            with served(app) as origin:
                for who in (cast.patient, cast.guardian, cast.clinician, cast.staff, cast.manager):
                    cookie = Client(app, practice, who).http.get_cookie("telepsych-session")
                    assert cookie is not None
                    with watched(browser, origin, cookie.value) as watcher:
                        pages += look_round(watcher, pages_of(app, conversation, who, cast.patient))
                        found += [f"{text!r} {who.name}: {one}" for one in watcher.found]
            practice.records.dispose()
    print(json.dumps({"texts": len(texts), "pages": pages, "ran_or_stopped": found}, indent=2))
    return int(bool(found) or not pages)


if __name__ == "__main__":
    sys.exit(main())
