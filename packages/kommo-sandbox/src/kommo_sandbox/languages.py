"""What Kommo says about an error in the language of the account: numbers and codes stay, sentences do not."""

from __future__ import annotations

from typing import Any

from kommo_sandbox.answers import Json

# English sentence -> Russian, Portuguese.
SENTENCES = {
    "Account is not paid, error code 244": (
        "Код ошибки 244. Недостаточно прав, или аккаунт не оплачен",
        "Código de erro 244. Sem direitos, ou a conta não foi paga",
    ),
    "Request validation failed": ("Ошибка валидации запроса", "A validação da solicitação falhou"),
    "Invalid request body": ("Некорректное тело запроса", "Corpo da solicitação inválido"),
    "Request data can not be empty": (
        "Данные запроса не могут быть пустыми",
        "Os dados da solicitação não podem estar vazios",
    ),
    "The value you selected is not a valid choice.": (
        "Выбранное Вами значение недопустимо.",
        "O valor selecionado não é uma opção válida.",
    ),
    "This field is missing.": ("Это поле отсутствует.", "Este campo está ausente."),
    "This field was not expected.": ("Это поле не ожидалось.", "Este campo não era esperado."),
    "Loss reason can be specified only for lost lead": (
        "Причину отказа можно указать только для закрытой сделки",
        "O motivo de perda só pode ser informado em um lead perdido",
    ),
    "Account is not paid": ("Аккаунт не оплачен", "A conta não foi paga"),
    "The limit of the plan is reached": ("Достигнут лимит тарифа", "O limite do plano foi atingido"),
    "Access denied": ("Доступ запрещён", "Acesso negado"),
    "Wrong authorization token": ("Неверный токен авторизации", "Token de autorização inválido"),
}
ANYTHING_ELSE = ("Некорректное значение", "Valor inválido")
PLACES = {"ru": 0, "pt": 1}


def tell(body: Any, language: str) -> Any:
    """Return the body of a refusal in a language; a sentence not known here becomes a general one."""
    if language not in PLACES or not isinstance(body, dict):
        return body
    translated: Json = dict(body)
    if "validation-errors" in translated:
        translated["validation-errors"] = [
            {**error, "errors": [_translated(error, language) for error in error["errors"]]}
            for error in translated["validation-errors"]
        ]
    if isinstance(translated.get("errors"), dict):
        translated["errors"] = {key: _sentence(text, language) for key, text in translated["errors"].items()}
    return _translated(translated, language)


def _translated(problem: Json, language: str) -> Json:
    detail = problem.get("detail")
    return {**problem, "detail": _sentence(detail, language)} if isinstance(detail, str) else problem


def _sentence(text: str, language: str) -> str:
    return SENTENCES.get(text, ANYTHING_ELSE)[PLACES[language]]
